//! Tokens to a syntax tree: statements. Expressions are in `expr`. Evaluates nothing.
//!
//! Follows Jinja 3.1's grammar. Nesting is bounded here, so that no later recursion over the tree can overflow the stack.

mod expr;

use std::sync::Arc;

use super::ast::{Args, Body, Expr, For, Macro, Node, Stmt, StmtKind, Target};
use super::error::TemplateError;
use super::lexer::{Tok, Token, tokenize};
use super::limits::MAX_NESTING;

type Parse<T> = Result<T, TemplateError>;

/// Parses a template's source.
pub(super) fn parse(source: &str) -> Parse<Body> {
    let mut parser = Parser {
        tokens: tokenize(source)?,
        pos: 0,
        depth: 0,
        in_loop: false,
        soft: false,
        macros: Vec::new(),
        unknown: Vec::new(),
    };
    let body = parser.body(&[])?;
    match parser.unknown.into_iter().next() {
        None => Ok(body),
        Some((line, message)) => Err(TemplateError::Syntax { line, message }),
    }
}

/// What a macro's body mentions of the names that only exist in macros.
#[derive(Default)]
struct Mentions {
    varargs: bool,
    kwargs: bool,
    caller: bool,
}

struct Parser {
    /// Never empty; the last is [`Tok::Eof`].
    tokens: Vec<Token>,
    pos: usize,
    depth: u32,
    in_loop: bool,
    /// Inside a condition, where unknown filters and tests only fail when reached.
    soft: bool,
    macros: Vec<Mentions>,
    /// Unknown filters and tests outside of conditions: line and message.
    unknown: Vec<(u32, String)>,
}

impl Parser {
    fn tok(&self) -> &Tok {
        self.peek(0)
    }

    fn peek(&self, ahead: usize) -> &Tok {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.pos + ahead).min(last)].tok
    }

    fn line(&self) -> u32 {
        self.tokens[self.pos].line
    }

    fn next(&mut self) {
        self.pos = (self.pos + 1).min(self.tokens.len() - 1);
    }

    fn fail<T>(&self, message: impl Into<String>) -> Parse<T> {
        Err(TemplateError::Syntax { line: self.line(), message: message.into() })
    }

    /// Runs `parse` one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= MAX_NESTING {
            return self.too_deep();
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn too_deep<T>(&self) -> Parse<T> {
        Err(TemplateError::Limit { line: self.line(), what: format!("nesting ({MAX_NESTING} levels)") })
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.tok(), Tok::Name(n) if n == name)
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.next();
        }
        found
    }

    fn is_op(&self, op: &str) -> bool {
        matches!(self.tok(), Tok::Op(o) if *o == op)
    }

    fn skip_op(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        if found {
            self.next();
        }
        found
    }

    fn expect_op(&mut self, op: &str) -> Parse<()> {
        if self.skip_op(op) {
            return Ok(());
        }
        self.fail(format!("expected '{op}', got {}", self.describe()))
    }

    fn expect_name(&mut self) -> Parse<Arc<str>> {
        let Tok::Name(name) = self.tok() else {
            return self.fail(format!("expected a name, got {}", self.describe()));
        };
        let name = Arc::from(name.as_str());
        self.next();
        Ok(name)
    }

    fn expect_end(&mut self, end: Tok) -> Parse<()> {
        if *self.tok() == end {
            self.next();
            return Ok(());
        }
        self.fail(format!("expected the end of the tag, got {}", self.describe()))
    }

    /// The current token in words.
    fn describe(&self) -> String {
        match self.tok() {
            Tok::Data(_) => "template text".into(),
            Tok::VarBegin => "'{{'".into(),
            Tok::VarEnd => "'}}'".into(),
            Tok::BlockBegin => "'{%'".into(),
            Tok::BlockEnd => "'%}'".into(),
            Tok::Name(name) => format!("'{name}'"),
            Tok::Str(_) => "a string".into(),
            Tok::Int(value) => format!("{value}"),
            Tok::Float(value) => format!("{value}"),
            Tok::Op(op) => format!("'{op}'"),
            Tok::Eof => "the end of the template".into(),
        }
    }

    /// Statements up to one of the tags `ends`, whose name is left as the current token; up to the end of the source for none.
    fn body(&mut self, ends: &[&str]) -> Parse<Body> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            let kind = match self.tok() {
                Tok::Data(text) => {
                    let text = text.clone();
                    self.next();
                    StmtKind::Data(text)
                }
                Tok::VarBegin => {
                    self.next();
                    let expr = self.tuple(true, &[])?;
                    self.expect_end(Tok::VarEnd)?;
                    StmtKind::Print(expr)
                }
                Tok::BlockBegin => {
                    self.next();
                    if ends.iter().any(|end| self.is_name(end)) {
                        return Ok(body);
                    }
                    let kind = self.deeper(|p| p.statement(ends, &mut body))?;
                    self.expect_end(Tok::BlockEnd)?;
                    match kind {
                        Some(kind) => kind,
                        None => continue,
                    }
                }
                Tok::Eof if ends.is_empty() => return Ok(body),
                Tok::Eof => {
                    let wanted = ends.join("' or '");
                    return self.fail(format!("the template ends where '{wanted}' is missing"));
                }
                _ => return self.fail(format!("unexpected {}", self.describe())),
            };
            body.push(Stmt { line, kind });
        }
    }

    /// The body after an opening tag, whose end is still to come.
    fn block(&mut self, ends: &[&str]) -> Parse<Body> {
        self.skip_op(":");
        self.expect_end(Tok::BlockEnd)?;
        self.body(ends)
    }

    /// A body that is a frame of its own: not soft, and outside any loop unless told.
    fn frame(&mut self, ends: &[&str], in_loop: bool) -> Parse<Body> {
        let outer = (self.in_loop, self.soft);
        (self.in_loop, self.soft) = (in_loop, false);
        let body = self.block(ends);
        (self.in_loop, self.soft) = outer;
        body
    }

    /// One statement after `{%`. `None` if it was appended to `body` already.
    fn statement(&mut self, ends: &[&str], body: &mut Body) -> Parse<Option<StmtKind>> {
        let Tok::Name(tag) = self.tok().clone() else {
            return self.fail(format!("expected a tag's name, got {}", self.describe()));
        };
        let in_loop = self.in_loop;
        Ok(Some(match tag.as_str() {
            "if" => self.if_()?,
            "for" => self.for_()?,
            "set" => self.set()?,
            "macro" => self.macro_()?,
            "call" => self.call_block()?,
            "filter" => {
                self.next();
                let captured = self.expr(Node::Captured, 0)?;
                let filter = self.filter_chain(captured, true)?;
                let body = self.frame(&["endfilter"], false)?;
                self.next();
                StmtKind::FilterBlock(filter, body)
            }
            "with" => self.with()?,
            "print" => {
                self.print(body)?;
                return Ok(None);
            }
            "generation" => {
                self.next();
                let body = self.frame(&["endgeneration"], false)?;
                self.next();
                StmtKind::Scope(body)
            }
            "block" => self.named_block()?,
            "autoescape" => {
                self.next();
                let wanted = self.expression()?;
                let body = self.frame(&["endautoescape"], false)?;
                self.next();
                match *wanted.node {
                    Node::Bool(false) => StmtKind::Scope(body),
                    _ => StmtKind::Unavailable("'autoescape' is not available".into()),
                }
            }
            "break" | "continue" if in_loop => {
                self.next();
                if tag == "break" { StmtKind::Break } else { StmtKind::Continue }
            }
            "break" | "continue" => return self.fail(format!("'{tag}' outside of a loop")),
            "extends" | "include" | "import" | "from" => {
                while !matches!(self.tok(), Tok::BlockEnd | Tok::Eof) {
                    self.next();
                }
                StmtKind::Unavailable(format!("'{tag}' needs other templates, and there are none"))
            }
            _ if ends.is_empty() => return self.fail(format!("unknown tag '{tag}'")),
            _ => {
                let wanted = ends.join("' or '");
                return self.fail(format!("unknown tag '{tag}' where '{wanted}' is missing"));
            }
        }))
    }

    fn if_(&mut self) -> Parse<StmtKind> {
        let outer = std::mem::replace(&mut self.soft, true);
        let mut arms = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            // Past `if` or `elif`.
            self.next();
            let test = self.tuple(false, &[])?;
            arms.push((test, self.block(&["elif", "else", "endif"])?));
            if self.is_name("elif") {
                continue;
            }
            if self.skip_name("else") {
                otherwise = self.block(&["endif"])?;
            }
            self.next();
            break;
        }
        self.soft = outer;
        Ok(StmtKind::If { arms, otherwise })
    }

    fn for_(&mut self) -> Parse<StmtKind> {
        self.next();
        let target = self.target(&["in"], false)?;
        if !self.skip_name("in") {
            return self.fail(format!("expected 'in', got {}", self.describe()));
        }
        let iterable = self.tuple(false, &["recursive"])?;
        let outer = std::mem::replace(&mut self.soft, false);
        let filter = if self.skip_name("if") { Some(self.expression()?) } else { None };
        self.soft = outer;
        let recursive = self.skip_name("recursive");
        let body = self.frame(&["endfor", "else"], true)?;
        let mut otherwise = Vec::new();
        if self.skip_name("else") {
            otherwise = self.frame(&["endfor"], self.in_loop)?;
        }
        self.next();
        Ok(StmtKind::For(Arc::new(For { target, iterable, filter, recursive, body, otherwise })))
    }

    fn set(&mut self) -> Parse<StmtKind> {
        self.next();
        let target = self.target(&[], true)?;
        if self.skip_op("=") {
            return Ok(StmtKind::Set(target, self.tuple(true, &[])?));
        }
        let captured = self.expr(Node::Captured, 0)?;
        let filter = self.filter_chain(captured, false)?;
        let body = self.frame(&["endset"], false)?;
        self.next();
        Ok(StmtKind::SetBlock(target, filter, body))
    }

    /// An assignment's left side: names, tuples of them, and attributes of namespaces if allowed.
    fn target(&mut self, ends: &[&str], attributes: bool) -> Parse<Target> {
        let mut targets = Vec::new();
        let mut is_tuple = false;
        loop {
            if !targets.is_empty() {
                self.expect_op(",")?;
            }
            if self.tuple_ends(ends) {
                break;
            }
            targets.push(self.deeper(|p| p.one_target(attributes))?);
            if !self.is_op(",") {
                break;
            }
            is_tuple = true;
        }
        match targets.pop() {
            None => self.fail(format!("expected a name to assign to, got {}", self.describe())),
            Some(target) if !is_tuple => Ok(target),
            Some(target) => {
                targets.push(target);
                Ok(Target::Tuple(targets))
            }
        }
    }

    fn one_target(&mut self, attributes: bool) -> Parse<Target> {
        if self.skip_op("(") {
            let mut targets = Vec::new();
            while !self.is_op(")") {
                targets.push(self.deeper(|p| p.one_target(false))?);
                if !self.skip_op(",") {
                    break;
                }
            }
            self.expect_op(")")?;
            return Ok(Target::Tuple(targets));
        }
        let name = self.assignable()?;
        if attributes && self.skip_op(".") {
            return Ok(Target::Attr(name, self.expect_name()?));
        }
        Ok(Target::Name(name))
    }

    fn assignable(&mut self) -> Parse<Arc<str>> {
        let name = self.expect_name()?;
        match &*name {
            "true" | "false" | "none" | "True" | "False" | "None" => self.fail(format!("can't assign to '{name}'")),
            "loop" if self.in_loop => self.fail("can't assign to the loop variable 'loop'"),
            _ => Ok(name),
        }
    }

    /// Parameters in parentheses: names and defaults.
    fn signature(&mut self) -> Parse<(Vec<Arc<str>>, Vec<Expr>)> {
        let (mut params, mut defaults) = (Vec::new(), Vec::new());
        self.expect_op("(")?;
        while !self.is_op(")") {
            if !params.is_empty() {
                self.expect_op(",")?;
            }
            params.push(self.assignable()?);
            if self.skip_op("=") {
                defaults.push(self.expression()?);
            } else if !defaults.is_empty() {
                return self.fail("parameter without a default after one with a default");
            }
        }
        self.next();
        Ok((params, defaults))
    }

    fn macro_(&mut self) -> Parse<StmtKind> {
        self.next();
        let name = self.assignable()?;
        Ok(StmtKind::Macro(self.macro_after(Some(name), "endmacro")?))
    }

    /// A macro from its signature on.
    fn macro_after(&mut self, name: Option<Arc<str>>, end: &str) -> Parse<Arc<Macro>> {
        self.macros.push(Mentions::default());
        let (params, defaults) = self.signature()?;
        let body = self.frame(&[end], false)?;
        self.next();
        Ok(self.close_macro(name, params, defaults, body))
    }

    fn close_macro(
        &mut self,
        name: Option<Arc<str>>,
        params: Vec<Arc<str>>,
        defaults: Vec<Expr>,
        body: Body,
    ) -> Arc<Macro> {
        let mentions = self.macros.pop().unwrap_or_default();
        Arc::new(Macro {
            name,
            varargs: mentions.varargs,
            kwargs: mentions.kwargs,
            caller: mentions.caller,
            params,
            defaults,
            body,
        })
    }

    fn call_block(&mut self) -> Parse<StmtKind> {
        self.next();
        let (mut params, mut defaults) = (Vec::new(), Vec::new());
        if self.is_op("(") {
            (params, defaults) = self.signature()?;
        }
        let call = self.expression()?;
        if !matches!(*call.node, Node::Call(..)) {
            return self.fail("a call block needs a call");
        }
        self.macros.push(Mentions::default());
        let body = self.frame(&["endcall"], false)?;
        self.next();
        let caller = self.close_macro(Some("caller".into()), params, defaults, body);
        Ok(StmtKind::CallBlock(call, caller))
    }

    fn with(&mut self) -> Parse<StmtKind> {
        self.next();
        let mut bindings = Vec::new();
        while *self.tok() != Tok::BlockEnd {
            if !bindings.is_empty() {
                self.expect_op(",")?;
            }
            let target = self.one_target(false)?;
            self.expect_op("=")?;
            bindings.push((target, self.expression()?));
        }
        let body = self.frame(&["endwith"], self.in_loop)?;
        self.next();
        Ok(StmtKind::With(bindings, body))
    }

    /// `{% print a, b %}`.
    fn print(&mut self, body: &mut Body) -> Parse<()> {
        let line = self.line();
        self.next();
        let mut first = true;
        while *self.tok() != Tok::BlockEnd {
            if !std::mem::take(&mut first) {
                self.expect_op(",")?;
            }
            let kind = StmtKind::Print(self.expression()?);
            body.push(Stmt { line, kind });
        }
        Ok(())
    }

    /// `{% block name %}`: there is nothing to override it, so it stands for its body.
    fn named_block(&mut self) -> Parse<StmtKind> {
        self.next();
        let name = self.expect_name()?;
        self.skip_name("scoped");
        self.skip_name("required");
        let body = self.frame(&["endblock"], false)?;
        self.next();
        self.skip_name(&name);
        Ok(StmtKind::Scope(body))
    }
}

/// Arguments' children, for the depth of a node that has them.
fn args_depth(args: &Args) -> u32 {
    let named = args.named.iter().map(|(_, e)| e.depth);
    let stars = [&args.star, &args.double_star];
    let stars = stars.into_iter().flatten().map(|e| e.depth);
    let positional = args.positional.iter().map(|e| e.depth);
    positional.chain(named).chain(stars).max().unwrap_or(0)
}
