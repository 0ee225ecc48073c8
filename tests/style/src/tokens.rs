//! A walk over the tokens of a file, for what its syntax tree does not keep.
//!
//! `proc-macro2` drops plain comments, turns documentation into attributes, and keeps the place of
//! each token. [`SourceFile`](crate::SourceFile) makes answers of
//! what is collected here.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, Group, LineColumn, Span, TokenStream, TokenTree};

/// One line of documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocLine {
    /// Number of the line.
    pub line: usize,
    /// True for `//!`, which documents the file or module around it instead of the next item.
    pub inner: bool,
    /// Text without the slashes.
    pub text: String,
}

/// All that the walk collects. Lines are counted from 1.
pub(crate) struct TokenWalk {
    /// Beginning of each token, in their order; those of documentation are left out.
    pub(crate) tokens: Vec<LineColumn>,
    /// Lines of documentation, in their order.
    pub(crate) docs: Vec<DocLine>,
    /// Lines that only tests compile.
    pub(crate) tests: Vec<RangeInclusive<usize>>,
    /// For each line whether a token touches it, the first line at index 0.
    pub(crate) covered: Vec<bool>,
}

impl TokenWalk {
    /// Walks over the tokens of a file with so many lines.
    pub(crate) fn over(stream: TokenStream, lines: usize) -> Self {
        let mut walk = Self {
            tokens: Vec::new(),
            docs: Vec::new(),
            tests: Vec::new(),
            covered: vec![false; lines],
        };
        walk.stream(stream);
        walk
    }

    /// Takes in the tokens of one level, and those inside its brackets.
    fn stream(&mut self, stream: TokenStream) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut rest = trees.as_slice();

        while let Some((first, after)) = rest.split_first() {
            rest = after;
            if let Some(attribute) = Attribute::before(first, after) {
                // Documentation is no code, and its tokens are not those of the author.
                if let Some(text) = attribute.documentation() {
                    self.doc(&attribute, &text);
                    rest = attribute.rest;
                    continue;
                }
                if attribute.is_for_tests() {
                    self.tests.push(attribute.lines_of_item());
                }
            }

            match first {
                TokenTree::Group(group) => self.group(group),
                tree => self.token(tree.span()),
            }
        }
    }

    /// Takes in a pair of brackets and its content.
    fn group(&mut self, group: &Group) {
        self.token(group.span_open());
        self.stream(group.stream());
        self.token(group.span_close());
    }

    /// Keeps the place of a token, and marks all its lines: a string may have several.
    fn token(&mut self, span: Span) {
        self.tokens.push(span.start());
        self.covered[span.start().line - 1..span.end().line].fill(true);
    }

    /// Takes in a doc comment. One between `/**` and `*/` may have several lines.
    fn doc(&mut self, attribute: &Attribute<'_>, text: &str) {
        let first = attribute.content.span().start().line;
        for (index, text) in text.split('\n').enumerate() {
            self.docs.push(DocLine {
                line: first + index,
                inner: attribute.inner,
                text: text.trim().to_owned(),
            });
        }
    }
}

/// An attribute among tokens.
struct Attribute<'a> {
    /// True for `#![…]`, which belongs to what is around it.
    inner: bool,
    /// The pair of brackets.
    content: &'a Group,
    /// The tokens after it.
    rest: &'a [TokenTree],
}

impl<'a> Attribute<'a> {
    /// The attribute that a token and those after it begin with.
    fn before(first: &TokenTree, after: &'a [TokenTree]) -> Option<Self> {
        if !is_mark(first, '#') {
            return None;
        }

        let (next, mut rest) = after.split_first()?;
        let inner = is_mark(next, '!');
        let brackets = if inner { rest.split_off_first()? } else { next };
        match brackets {
            TokenTree::Group(content) if content.delimiter() == Delimiter::Bracket => Some(Self {
                inner,
                content,
                rest,
            }),
            _ => None,
        }
    }

    /// The text of `doc = "…"`.
    fn documentation(&self) -> Option<String> {
        let trees: Vec<TokenTree> = self.content.stream().into_iter().collect();
        let [
            TokenTree::Ident(name),
            TokenTree::Punct(_),
            TokenTree::Literal(literal),
        ] = trees.as_slice()
        else {
            return None;
        };

        match syn::Lit::new(literal.clone()) {
            syn::Lit::Str(text) if name == "doc" => Some(text.value()),
            _ => None,
        }
    }

    fn is_for_tests(&self) -> bool {
        let text: String = self
            .content
            .stream()
            .to_string()
            .split_whitespace()
            .collect();
        text == "cfg(test)"
    }

    /// Lines from the attribute to the end of its item.
    fn lines_of_item(&self) -> RangeInclusive<usize> {
        let brackets = self.content.span();
        let end = end_of_item(self.rest).unwrap_or(brackets);
        brackets.start().line..=end.end().line
    }
}

/// Last token of the item at the head of some tokens: its body in braces, or its semicolon.
fn end_of_item(mut trees: &[TokenTree]) -> Option<Span> {
    while let Some((first, after)) = trees.split_first()
        && let Some(attribute) = Attribute::before(first, after)
    {
        trees = attribute.rest;
    }

    // The braces of an import or of a value are not its end.
    let is_plain = is_import_or_value(trees);
    let is_end = |tree: &&TokenTree| match tree {
        TokenTree::Group(group) => !is_plain && group.delimiter() == Delimiter::Brace,
        tree => is_mark(tree, ';'),
    };
    trees.iter().find(is_end).map(TokenTree::span)
}

/// True for an item that ends with a semicolon, whatever braces it holds.
fn is_import_or_value(item: &[TokenTree]) -> bool {
    let word = |tree: &TokenTree| match tree {
        TokenTree::Ident(word) if word != "pub" => Some(word.to_string()),
        _ => None,
    };
    let mut words = item.iter().filter_map(word);

    match words.next().as_deref() {
        // A function may be `const` too.
        Some("const") => words.next().as_deref() != Some("fn"),
        Some("use" | "static" | "type" | "let") => true,
        _ => false,
    }
}

fn is_mark(tree: &TokenTree, mark: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == mark)
}
