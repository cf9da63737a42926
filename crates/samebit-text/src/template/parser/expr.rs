//! Tokens to a syntax tree: expressions, one function for each level of precedence.

use std::sync::Arc;

use super::super::ast::{Args, CompareOp, Expr, MathOp, Node};
use super::super::{checks, filters};
use super::{MAX_NESTING, Parse, Parser, Tok, args_depth};

impl Parser {
    /// A node whose children nest `depth` deep.
    pub(super) fn expr(&self, node: Node, depth: u32) -> Parse<Expr> {
        if depth >= MAX_NESTING {
            return self.too_deep();
        }
        Ok(Expr { node: Box::new(node), line: self.line(), depth: depth + 1 })
    }

    pub(super) fn expression(&mut self) -> Parse<Expr> {
        self.deeper(Self::conditional)
    }

    /// `a if b else c`.
    fn conditional(&mut self) -> Parse<Expr> {
        let known = self.unknown.len();
        let mut then = self.or()?;
        if !self.is_name("if") {
            return Ok(then);
        }
        while self.skip_name("if") {
            let test = self.or()?;
            let otherwise = if self.skip_name("else") { Some(self.deeper(Self::conditional)?) } else { None };
            let depth = otherwise.as_ref().map_or(0, |e| e.depth);
            let depth = depth.max(then.depth).max(test.depth);
            let node = Node::Cond { test, then, otherwise };
            then = self.expr(node, depth)?;
        }
        // Unknown filters in the parts of a condition only fail when reached.
        self.unknown.truncate(known);
        Ok(then)
    }

    fn or(&mut self) -> Parse<Expr> {
        let mut left = self.and()?;
        while self.skip_name("or") {
            let right = self.and()?;
            let depth = left.depth.max(right.depth);
            left = self.expr(Node::Or(left, right), depth)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Parse<Expr> {
        let mut left = self.not()?;
        while self.skip_name("and") {
            let right = self.not()?;
            let depth = left.depth.max(right.depth);
            left = self.expr(Node::And(left, right), depth)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Parse<Expr> {
        if self.skip_name("not") {
            let operand = self.deeper(Self::not)?;
            let depth = operand.depth;
            return self.expr(Node::Not(operand), depth);
        }
        self.compare()
    }

    fn compare(&mut self) -> Parse<Expr> {
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(op) = self.compare_op() {
            rest.push((op, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let depth = rest.iter().map(|(_, e)| e.depth).max().unwrap_or(0);
        let depth = depth.max(first.depth);
        self.expr(Node::Compare(first, rest), depth)
    }

    fn compare_op(&mut self) -> Option<CompareOp> {
        let op = match self.tok() {
            Tok::Op("==") => CompareOp::Eq,
            Tok::Op("!=") => CompareOp::Ne,
            Tok::Op("<") => CompareOp::Lt,
            Tok::Op("<=") => CompareOp::Le,
            Tok::Op(">") => CompareOp::Gt,
            Tok::Op(">=") => CompareOp::Ge,
            Tok::Name(name) if name == "in" => CompareOp::In,
            Tok::Name(name) if name == "not" && matches!(self.peek(1), Tok::Name(n) if n == "in") => {
                self.next();
                CompareOp::NotIn
            }
            _ => return None,
        };
        self.next();
        Some(op)
    }

    fn sum(&mut self) -> Parse<Expr> {
        let mut left = self.concat()?;
        loop {
            let op = match self.tok() {
                Tok::Op("+") => MathOp::Add,
                Tok::Op("-") => MathOp::Sub,
                _ => return Ok(left),
            };
            self.next();
            let right = self.concat()?;
            left = self.math(op, left, right)?;
        }
    }

    fn math(&self, op: MathOp, left: Expr, right: Expr) -> Parse<Expr> {
        let depth = left.depth.max(right.depth);
        self.expr(Node::Math(op, left, right), depth)
    }

    fn concat(&mut self) -> Parse<Expr> {
        let first = self.product()?;
        if !self.is_op("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_op("~") {
            parts.push(self.product()?);
        }
        let depth = max_depth(&parts);
        self.expr(Node::Concat(parts), depth)
    }

    fn product(&mut self) -> Parse<Expr> {
        let mut left = self.power()?;
        loop {
            let op = match self.tok() {
                Tok::Op("*") => MathOp::Mul,
                Tok::Op("/") => MathOp::Div,
                Tok::Op("//") => MathOp::FloorDiv,
                Tok::Op("%") => MathOp::Mod,
                _ => return Ok(left),
            };
            self.next();
            let right = self.power()?;
            left = self.math(op, left, right)?;
        }
    }

    fn power(&mut self) -> Parse<Expr> {
        let mut left = self.unary(true)?;
        while self.skip_op("**") {
            let right = self.unary(true)?;
            left = self.math(MathOp::Pow, left, right)?;
        }
        Ok(left)
    }

    fn unary(&mut self, with_filter: bool) -> Parse<Expr> {
        let mut node = if self.is_op("-") || self.is_op("+") {
            let negative = self.is_op("-");
            self.next();
            let operand = self.deeper(|p| p.unary(false))?;
            let depth = operand.depth;
            let node = if negative { Node::Neg(operand) } else { Node::Pos(operand) };
            self.expr(node, depth)?
        } else {
            self.primary()?
        };
        node = self.postfix(node)?;
        if with_filter {
            node = self.filters_and_tests(node)?;
        }
        Ok(node)
    }

    fn primary(&mut self) -> Parse<Expr> {
        let (node, depth) = match self.tok().clone() {
            Tok::Name(name) => {
                self.next();
                (self.name(&name), 0)
            }
            Tok::Str(mut text) => {
                self.next();
                while let Tok::Str(more) = self.tok() {
                    text.push_str(more);
                    self.next();
                }
                (Node::Str(text), 0)
            }
            Tok::Int(value) => {
                self.next();
                (Node::Int(value), 0)
            }
            Tok::Float(value) => {
                self.next();
                (Node::Float(value), 0)
            }
            Tok::Op("(") => {
                self.next();
                let inner = self.deeper(|p| p.tuple_in(true, &[], true))?;
                self.expect_op(")")?;
                return Ok(inner);
            }
            Tok::Op("[") => {
                self.next();
                let items = self.items("]")?;
                let depth = max_depth(&items);
                (Node::List(items), depth)
            }
            Tok::Op("{") => self.dict()?,
            _ => return self.fail(format!("unexpected {}", self.describe())),
        };
        self.expr(node, depth)
    }

    fn name(&mut self, name: &str) -> Node {
        match name {
            "true" | "True" => return Node::Bool(true),
            "false" | "False" => return Node::Bool(false),
            "none" | "None" => return Node::None,
            _ => {}
        }
        for mentions in &mut self.macros {
            match name {
                "varargs" => mentions.varargs = true,
                "kwargs" => mentions.kwargs = true,
                "caller" => mentions.caller = true,
                _ => {}
            }
        }
        Node::Name(Arc::from(name))
    }

    /// Expressions with commas between them, past the closing bracket.
    fn items(&mut self, close: &str) -> Parse<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.is_op(close) {
            if !items.is_empty() {
                self.expect_op(",")?;
                if self.is_op(close) {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        self.expect_op(close)?;
        Ok(items)
    }

    fn dict(&mut self) -> Parse<(Node, u32)> {
        self.next();
        let mut pairs = Vec::new();
        let mut depth = 0;
        while !self.is_op("}") {
            if !pairs.is_empty() {
                self.expect_op(",")?;
                if self.is_op("}") {
                    break;
                }
            }
            let key = self.expression()?;
            self.expect_op(":")?;
            let value = self.expression()?;
            depth = depth.max(key.depth).max(value.depth);
            pairs.push((key, value));
        }
        self.expect_op("}")?;
        Ok((Node::Dict(pairs), depth))
    }

    /// Whether nothing more of a tuple follows.
    pub(super) fn tuple_ends(&self, ends: &[&str]) -> bool {
        matches!(self.tok(), Tok::VarEnd | Tok::BlockEnd | Tok::Op(")")) || ends.iter().any(|end| self.is_name(end))
    }

    /// An expression, or a tuple without parentheses.
    pub(super) fn tuple(&mut self, conditional: bool, ends: &[&str]) -> Parse<Expr> {
        self.tuple_in(conditional, ends, false)
    }

    fn tuple_in(&mut self, conditional: bool, ends: &[&str], parentheses: bool) -> Parse<Expr> {
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            if self.tuple_ends(ends) {
                break;
            }
            items.push(if conditional { self.expression()? } else { self.deeper(Self::or)? });
            if !self.is_op(",") {
                break;
            }
            is_tuple = true;
        }
        if !is_tuple {
            if let Some(item) = items.pop() {
                return Ok(item);
            }
            if !parentheses {
                return self.fail(format!("expected an expression, got {}", self.describe()));
            }
        }
        let depth = max_depth(&items);
        self.expr(Node::Tuple(items), depth)
    }

    /// Attributes, subscripts and calls.
    fn postfix(&mut self, mut node: Expr) -> Parse<Expr> {
        loop {
            node = match self.tok() {
                Tok::Op(".") => {
                    self.next();
                    self.attribute(node)?
                }
                Tok::Op("[") => {
                    self.next();
                    self.subscript(node)?
                }
                Tok::Op("(") => self.call(node)?,
                _ => return Ok(node),
            };
        }
    }

    fn attribute(&mut self, of: Expr) -> Parse<Expr> {
        let depth = of.depth;
        let node = match self.tok() {
            Tok::Name(name) => Node::Attr(of, Arc::from(name.as_str())),
            Tok::Int(index) => {
                let index = self.expr(Node::Int(*index), 0)?;
                Node::Item(of, index)
            }
            _ => {
                return self.fail(format!("expected a name or number, got {}", self.describe()));
            }
        };
        self.next();
        self.expr(node, depth)
    }

    fn subscript(&mut self, of: Expr) -> Parse<Expr> {
        let (mut items, mut slice) = (Vec::new(), None);
        while !self.is_op("]") {
            if !items.is_empty() || slice.is_some() {
                self.expect_op(",")?;
            }
            let first = if self.is_op(":") { None } else { Some(self.expression()?) };
            match first {
                Some(item) if !self.is_op(":") => items.push(item),
                start => slice = Some(self.slice_after(start)?),
            }
        }
        self.next();
        match slice {
            Some(bounds) if items.is_empty() => {
                let depth = bounds.iter().flatten().map(|e| e.depth).max();
                let depth = depth.unwrap_or(0).max(of.depth);
                self.expr(Node::Slice(of, bounds), depth)
            }
            Some(_) => self.fail("a slice among several subscripts"),
            None => {
                let depth = of.depth;
                let item = match items.pop() {
                    Some(item) if items.is_empty() => item,
                    last => {
                        items.extend(last);
                        let depth = max_depth(&items);
                        self.expr(Node::Tuple(items), depth)?
                    }
                };
                let depth = depth.max(item.depth);
                self.expr(Node::Item(of, item), depth)
            }
        }
    }

    /// A slice from its first colon on.
    fn slice_after(&mut self, start: Option<Expr>) -> Parse<[Option<Expr>; 3]> {
        let mut bounds = [start, None, None];
        for bound in &mut bounds[1..] {
            if !self.skip_op(":") {
                break;
            }
            if !self.is_op(":") && !self.is_op("]") && !self.is_op(",") {
                *bound = Some(self.expression()?);
            }
        }
        Ok(bounds)
    }

    fn call(&mut self, of: Expr) -> Parse<Expr> {
        let args = self.args()?;
        let depth = of.depth.max(args_depth(&args));
        self.expr(Node::Call(of, args), depth)
    }

    /// Arguments in parentheses.
    fn args(&mut self) -> Parse<Args> {
        let mut args = Args::default();
        self.expect_op("(")?;
        let mut first = true;
        while !self.is_op(")") {
            if !std::mem::take(&mut first) {
                self.expect_op(",")?;
                if self.is_op(")") {
                    break;
                }
            }
            let valid = if self.skip_op("*") {
                let valid = args.star.is_none() && args.double_star.is_none();
                args.star = Some(self.expression()?);
                valid
            } else if self.skip_op("**") {
                let valid = args.double_star.is_none();
                args.double_star = Some(self.expression()?);
                valid
            } else if matches!((self.tok(), self.peek(1)), (Tok::Name(_), Tok::Op("="))) {
                let name = self.expect_name()?;
                self.next();
                args.named.push((name, self.expression()?));
                args.double_star.is_none()
            } else {
                args.positional.push(self.expression()?);
                args.star.is_none() && args.double_star.is_none() && args.named.is_empty()
            };
            if !valid {
                return self.fail("invalid order of arguments in a call");
            }
        }
        self.next();
        Ok(args)
    }

    fn filters_and_tests(&mut self, mut node: Expr) -> Parse<Expr> {
        loop {
            node = match self.tok() {
                Tok::Op("|") => self.filter_chain(node, false)?,
                Tok::Op("(") => self.call(node)?,
                Tok::Name(name) if name == "is" => self.test(node)?,
                _ => return Ok(node),
            };
        }
    }

    /// `| a | b(…)`; `inline` if the first has no bar.
    pub(super) fn filter_chain(&mut self, mut node: Expr, mut inline: bool) -> Parse<Expr> {
        while inline || self.is_op("|") {
            if !std::mem::take(&mut inline) {
                self.next();
            }
            let name = self.dotted_name()?;
            if !self.soft && !filters::exists(&name) {
                self.unknown.push((self.line(), format!("no filter named '{name}'")));
            }
            let args = if self.is_op("(") { self.args()? } else { Args::default() };
            let depth = node.depth.max(args_depth(&args));
            node = self.expr(Node::Filter(node, name, args), depth)?;
        }
        Ok(node)
    }

    fn dotted_name(&mut self) -> Parse<String> {
        let mut name = self.expect_name()?.to_string();
        while self.skip_op(".") {
            name.push('.');
            name.push_str(&self.expect_name()?);
        }
        Ok(name)
    }

    /// `is [not] name [argument]`.
    fn test(&mut self, of: Expr) -> Parse<Expr> {
        self.next();
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        if !self.soft && !checks::exists(&name) {
            self.unknown.push((self.line(), format!("no test named '{name}'")));
        }
        let args = if self.is_op("(") {
            self.args()?
        } else if self.starts_argument() {
            if self.is_name("is") {
                return self.fail("tests cannot be chained with 'is'");
            }
            let argument = self.deeper(|p| {
                let primary = p.primary()?;
                p.postfix(primary)
            })?;
            Args { positional: vec![argument], ..Args::default() }
        } else {
            Args::default()
        };
        let depth = of.depth.max(args_depth(&args));
        let mut node = self.expr(Node::Test(of, name, args), depth)?;
        if negated {
            let depth = node.depth;
            node = self.expr(Node::Not(node), depth)?;
        }
        Ok(node)
    }

    fn starts_argument(&self) -> bool {
        match self.tok() {
            Tok::Name(name) => !matches!(name.as_str(), "else" | "or" | "and"),
            Tok::Str(_) | Tok::Int(_) | Tok::Float(_) => true,
            Tok::Op(op) => matches!(*op, "[" | "{"),
            _ => false,
        }
    }
}

fn max_depth(items: &[Expr]) -> u32 {
    items.iter().map(|e| e.depth).max().unwrap_or(0)
}
