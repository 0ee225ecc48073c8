//! Bindings that pack a function: several in one tuple, and a name that is bound again.
//!
//! Only plain names count as bound again: one that comes out of a pattern often has no better name.

use std::collections::BTreeSet;

use syn::{
    Block, Expr, Local, Pat, Stmt,
    visit::{self, Visit},
};

use crate::SourceFile;

/// Counts of both kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    /// A `let` that binds a tuple to a tuple: `let (a, b) = (1, 2)`.
    pub tuples: usize,
    /// A `let` of a plain name that an earlier `let` of the same block has bound.
    pub again: usize,
}

/// Counts the bindings of a file's production code.
pub fn count(file: &SourceFile) -> Bindings {
    let mut counter = Counter {
        file,
        bindings: Bindings::default(),
    };
    counter.visit_file(&file.syntax);
    counter.bindings
}

struct Counter<'a> {
    file: &'a SourceFile,
    bindings: Bindings,
}

impl<'ast> Visit<'ast> for Counter<'_> {
    fn visit_local(&mut self, local: &'ast Local) {
        let is_test = self.file.is_test(local.let_token.span.start().line);
        if !is_test && is_tuple(local) {
            self.bindings.tuples += 1;
        }
        visit::visit_local(self, local);
    }

    fn visit_block(&mut self, block: &'ast Block) {
        if !self
            .file
            .is_test(block.brace_token.span.open().start().line)
        {
            self.bindings.again += bound_again(block);
        }
        visit::visit_block(self, block);
    }
}

/// True for a `let` that writes several bindings as one.
fn is_tuple(local: &Local) -> bool {
    let value = local.init.as_ref().map(|init| init.expr.as_ref());
    matches!(
        (without_type(&local.pat), value),
        (Pat::Tuple(_), Some(Expr::Tuple(_)))
    )
}

/// Plain names of a block that are bound again; each time counts.
fn bound_again(block: &Block) -> usize {
    let name = |statement: &Stmt| match statement {
        Stmt::Local(local) => match without_type(&local.pat) {
            Pat::Ident(pattern) => Some(pattern.ident.to_string()),
            _ => None,
        },
        _ => None,
    };

    let mut seen = BTreeSet::new();
    block
        .stmts
        .iter()
        .filter_map(name)
        .filter(|name| !seen.insert(name.clone()))
        .count()
}

fn without_type(pattern: &Pat) -> &Pat {
    match pattern {
        Pat::Type(typed) => &typed.pat,
        pattern => pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_of_values_and_names_bound_again_are_counted() {
        let text = concat!(
            "fn a() {\n    let (b, c) = (1, 2);\n    let (d, e) = pair();\n    let c = 3;\n",
            "    let c: u8 = 4;\n    let mut c = 5;\n    { let c = 6; }\n}\n",
            "#[cfg(test)]\nfn t() {\n    let (a, b) = (1, 2);\n    let c = 1;\n    let c = 2;\n}\n",
        );
        let file = SourceFile::parse("a.rs", text).expect("code");
        assert_eq!(
            count(&file),
            Bindings {
                tuples: 1,
                again: 2
            }
        );
    }
}
