//! The rules that a machine can hold: each one finds the places that break it.

use std::collections::BTreeSet;

use crate::{
    SourceFile, Workspace,
    circles::{self, Edge},
    docs,
    functions::{self, Function},
    names,
};

/// Lines from which on a function has paragraphs.
pub const PARAGRAPH_LINES: usize = 25;

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Path of the file, or the name that several types bear.
    pub subject: String,
    /// One line for whoever has to mend it: the place, and the fault.
    pub message: String,
}

impl Breach {
    fn at(file: &SourceFile, line: usize, fault: &str) -> Self {
        let message = format!("{}:{line}: {fault}", file.path);
        Self {
            subject: file.path.clone(),
            message,
        }
    }

    fn of_function(file: &SourceFile, function: &Function, fault: &str) -> Self {
        let fault = format!(
            "`{}` has {} lines {fault}",
            function.name,
            function.length()
        );
        Self::at(file, *function.lines.start(), &fault)
    }
}

/// Doc comments that say no more than the name: fewer than four words.
pub fn short_docs(workspace: &Workspace) -> Vec<Breach> {
    let found = |file| {
        let comments = docs::comments(file)
            .into_iter()
            .filter(|comment| comment.is_short());
        comments.map(move |comment| {
            Breach::at(
                file,
                comment.line(),
                "a doc comment of fewer than four words",
            )
        })
    };
    workspace.files().flat_map(found).collect()
}

/// Doc comments that begin with a question word.
pub fn question_docs(workspace: &Workspace) -> Vec<Breach> {
    let found = |file| {
        let comments = docs::comments(file)
            .into_iter()
            .filter(|comment| comment.is_question());
        comments.map(move |comment| {
            Breach::at(
                file,
                comment.line(),
                "a doc comment begins with a question word",
            )
        })
    };
    workspace.files().flat_map(found).collect()
}

/// Functions of more than 25 lines without a blank one.
pub fn functions_without_paragraphs(workspace: &Workspace) -> Vec<Breach> {
    let is_dense = |function: &Function| function.length() > PARAGRAPH_LINES && function.blank == 0;
    let found = |file| {
        let dense = functions::production(file).into_iter().filter(is_dense);
        dense.map(move |function| Breach::of_function(file, &function, "and no paragraph"))
    };
    workspace.files().flat_map(found).collect()
}

/// Names that more than one type bears.
pub fn shared_names(workspace: &Workspace) -> Vec<Breach> {
    let breach = |(name, types): (String, Vec<names::TypeName>)| {
        let places: Vec<String> = types
            .iter()
            .map(|found| format!("{}:{}", found.path, found.line))
            .collect();
        let message = format!(
            "`{name}` names {} types: {}",
            types.len(),
            places.join(", ")
        );
        Breach {
            subject: name,
            message,
        }
    };
    names::shared(workspace).into_iter().map(breach).collect()
}

/// Files that stand in a circle, in the crate whose root is at a path.
pub fn files_in_circles(workspace: &Workspace, root: &str) -> Vec<Breach> {
    let Some(root) = workspace.file(root) else {
        let message = format!("{root} is not there: it was the root of a crate");
        return vec![Breach {
            subject: root.to_owned(),
            message,
        }];
    };

    let circles = circles::circles(&circles::edges(workspace, root));
    let edges: BTreeSet<Edge> = circles
        .into_iter()
        .flat_map(|circle| circle.edges)
        .collect();
    let breach = |edge: Edge| Breach {
        message: format!(
            "{}:{}: `{}` closes a circle of files",
            edge.from, edge.line, edge.name
        ),
        subject: edge.from,
    };
    edges.into_iter().map(breach).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of one crate with two files.
    fn workspace(first: &str, second: &str) -> Workspace {
        let files = [
            ("src/lib.rs", "mod a;\nmod b;\n"),
            ("src/a.rs", first),
            ("src/b.rs", second),
        ];
        let parse = |(path, text)| SourceFile::parse(path, text).expect("code");
        Workspace::of(files.map(parse).into())
    }

    fn messages(breaches: &[Breach]) -> Vec<&str> {
        breaches
            .iter()
            .map(|breach| breach.message.as_str())
            .collect()
    }

    /// A function of so many lines, of which the second one is given.
    fn function(lines: usize, second: &str) -> String {
        format!(
            "fn f() {{\n{second}\n{}}}\n",
            "    g();\n".repeat(lines - 3)
        )
    }

    #[test]
    fn a_doc_comment_of_three_words_is_found() {
        let found = short_docs(&workspace(
            "/// The first one.\nstruct A;\n",
            "/// One of four words.\nfn b() {}\n",
        ));
        assert_eq!(
            messages(&found),
            ["src/a.rs:1: a doc comment of fewer than four words"]
        );
    }

    #[test]
    fn a_doc_comment_that_begins_with_a_question_word_is_found() {
        let found = question_docs(&workspace(
            "//! Whether it works.\n",
            "/// The way how\n/// How it works.\nfn b() {}\n",
        ));
        assert_eq!(
            messages(&found),
            ["src/a.rs:1: a doc comment begins with a question word"]
        );
    }

    #[test]
    fn a_long_function_without_a_paragraph_is_found() {
        let first = format!(
            "{}\n{}",
            function(25, "    // No blank line."),
            function(26, "")
        );
        let found =
            functions_without_paragraphs(&workspace(&first, &function(26, "    // Dense.")));
        assert_eq!(
            messages(&found),
            ["src/b.rs:1: `f` has 26 lines and no paragraph"]
        );
    }

    #[test]
    fn a_name_of_two_types_is_found() {
        let found = shared_names(&workspace(
            "struct A;\nstruct B;\n",
            "struct C;\ntype A = C;\n",
        ));
        assert_eq!(
            messages(&found),
            ["`A` names 2 types: src/a.rs:1, src/b.rs:2"]
        );
    }

    #[test]
    fn files_that_need_each_other_are_found() {
        let workspace = workspace(
            "use crate::b::B;\npub struct A;\n",
            "use super::a::A;\npub struct B;\n",
        );
        let found = files_in_circles(&workspace, "src/lib.rs");
        let expected = [
            "src/a.rs:1: `crate::b::B` closes a circle of files",
            "src/b.rs:1: `super::a::A` closes a circle of files",
        ];
        assert_eq!(messages(&found), expected);
        assert_eq!(files_in_circles(&workspace, "src/main.rs").len(), 1);
    }
}
