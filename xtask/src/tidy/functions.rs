//! No function is longer than a screen.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Finding;
use super::tree::Tree;

/// From `fn` to the closing brace.
const MAX_LINES: usize = 70;

pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files() {
        let Some(text) = file.rust() else { continue };
        match syn::parse_file(text) {
            Ok(parsed) => {
                let mut visitor = Functions { path: &file.path, findings };
                visitor.visit_file(&parsed);
            }
            Err(error) => {
                let line = error.span().start().line;
                findings.push(Finding::new(&file.path, line, "syntax", format!("cannot be parsed: {error}")));
            }
        }
    }
}

struct Functions<'a> {
    path: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl Functions<'_> {
    fn judge(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let first = signature.span().start().line;
        let lines = body.span().end().line + 1 - first;
        if lines > MAX_LINES {
            let message = format!("{} has {lines} lines where {MAX_LINES} are the most", signature.ident);
            self.findings.push(Finding::new(self.path, first, "function-length", message));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.judge(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.judge(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.judge(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_found(text: &str) -> Vec<(&'static str, usize)> {
        let mut findings = Vec::new();
        check(&Tree::of(&[("crates/a/src/lib.rs", text)]), &mut findings);
        findings.iter().map(|finding| (finding.rule, finding.line)).collect()
    }

    #[test]
    fn long_functions_are_found_wherever_they_are() {
        let body = "\n".repeat(69);
        let longer = "\n".repeat(70);
        assert_eq!(lines_found(&format!("fn f() {{{body}}}")), []);
        assert_eq!(lines_found(&format!("\nfn f() {{{longer}}}")), [("function-length", 2)]);
        assert_eq!(lines_found(&format!("impl X {{\nfn f() {{{longer}}} }}")), [("function-length", 2)]);
        assert_eq!(lines_found(&format!("trait X {{\nfn f() {{{longer}}} }}")), [("function-length", 2)]);
        assert_eq!(lines_found(&format!("mod m {{\n\n/// D\nfn f() {{{longer}}} }}")), [("function-length", 4)]);
    }

    #[test]
    fn what_is_not_rust_is_found() {
        assert_eq!(lines_found("fn f( {}"), [("syntax", 1)]);
    }
}
