//! Functions: their length, their tokens, and their paragraphs.
//!
//! A function inside another one is counted by itself too. Code that a macro makes is not seen.

use std::ops::RangeInclusive;

use syn::{
    Block, ImplItemFn, ItemFn, Signature, TraitItemFn,
    visit::{self, Visit},
};

use crate::{SourceFile, source::LineKind};

/// One function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Name without the type that it belongs to.
    pub name: String,
    /// From the line of `fn` to that of the last brace; attributes and documentation stand before.
    pub lines: RangeInclusive<usize>,
    /// Tokens of the body, with its braces.
    pub tokens: usize,
    /// Number of blank lines inside.
    pub blank: usize,
    /// Comments inside that have a line for themselves.
    pub comments: usize,
}

impl Function {
    /// Number of its lines.
    pub fn length(&self) -> usize {
        self.lines.end() + 1 - self.lines.start()
    }
}

/// Functions of a file, those of tests included.
pub fn all(file: &SourceFile) -> Vec<Function> {
    let mut finder = FunctionFinder {
        file,
        found: Vec::new(),
    };
    finder.visit_file(&file.syntax);
    finder.found
}

/// Functions of a file's production code.
pub fn production(file: &SourceFile) -> Vec<Function> {
    let mut found = all(file);
    found.retain(|function| !file.is_test(*function.lines.start()));
    found
}

struct FunctionFinder<'a> {
    file: &'a SourceFile,
    found: Vec<Function>,
}

impl FunctionFinder<'_> {
    fn add(&mut self, signature: &Signature, body: &Block) {
        let braces = body.brace_token.span;
        let open = braces.open().start();
        let close = braces.close().start();

        let lines = signature.fn_token.span.start().line..=close.line;
        self.found.push(Function {
            name: signature.ident.to_string(),
            tokens: self.file.tokens(open, close),
            blank: self.file.count(lines.clone(), LineKind::Blank),
            comments: self.file.count(lines.clone(), LineKind::Comment),
            lines,
        });
    }
}

impl<'ast> Visit<'ast> for FunctionFinder<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.add(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_wherever_they_stand() {
        let text = concat!(
            "/// Doc.\nfn a() {\n    // Why.\n    let b = 1;\n\n    fn c() {}\n}\n",
            "trait D {\n    fn e();\n    fn f() {\n    }\n}\nimpl G {\n    pub async fn h() {}\n}\n",
        );
        let file = SourceFile::parse("a.rs", text).expect("code");
        let found = production(&file);
        let shape = |function: &Function| (function.name.clone(), function.length());
        let shapes: Vec<(String, usize)> = found.iter().map(shape).collect();
        let expected = [("a", 6), ("c", 1), ("f", 2), ("h", 1)];
        assert_eq!(
            shapes,
            expected.map(|(name, lines)| (name.to_owned(), lines))
        );
        assert_eq!(
            (found[0].blank, found[0].comments, found[0].tokens),
            (1, 1, 13)
        );
    }
}
