//! Runs a template: expressions.

use std::rc::Rc;
use std::sync::Arc;

use super::args::CallArgs;
use super::ast::{Args, CompareOp, Expr, Node};
use super::limits::{Fault, Res, Text};
use super::repr::write_str;
use super::scope::{LoopCell, Scope};
use super::value::{Undefined, Value, undefined};
use super::vm::Vm;
use super::{checks, filters, index, ops};

impl Vm {
    /// The value of an expression.
    pub(super) fn eval(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Res<Value> {
        self.meter.spend(1)?;
        self.line = expr.line;
        match &*expr.node {
            Node::None => Ok(Value::None),
            Node::Bool(value) => Ok(Value::Bool(*value)),
            Node::Int(value) => Ok(Value::Int(*value)),
            Node::Float(value) => Ok(Value::Float(*value)),
            Node::Str(text) => self.meter.copy(text),
            Node::Name(name) => {
                let value = self.lookup(name, scope);
                self.escaping(&value)?;
                Ok(value)
            }
            Node::Captured => Ok(self.captured.clone()),
            _ => {
                let meter = self.meter.clone();
                meter.deeper(|| self.compound(expr, scope))
            }
        }
    }

    pub(super) fn lookup(&self, name: &Arc<str>, scope: &Rc<Scope>) -> Value {
        scope.get(name).unwrap_or_else(|| undefined(Undefined::Name(name.clone())))
    }

    /// A loop that is used as a value may outlive its scope's turn on the stack.
    fn escaping(&self, value: &Value) -> Res<()> {
        match value {
            Value::Loop(loop_) => self.registry.capture(&loop_.scope),
            _ => Ok(()),
        }
    }

    /// An expression's value where it is only looked into: a loop does not escape.
    pub(super) fn eval_base(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Res<Value> {
        match &*expr.node {
            Node::Name(name) => {
                self.meter.spend(1)?;
                Ok(self.lookup(name, scope))
            }
            _ => self.eval(expr, scope),
        }
    }

    fn eval_all(&mut self, exprs: &[Expr], scope: &Rc<Scope>) -> Res<Vec<Value>> {
        exprs.iter().map(|expr| self.eval(expr, scope)).collect()
    }

    fn compound(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Res<Value> {
        match &*expr.node {
            Node::And(a, b) => {
                let a = self.eval(a, scope)?;
                if a.truth() { self.eval(b, scope) } else { Ok(a) }
            }
            Node::Or(a, b) => {
                let a = self.eval(a, scope)?;
                if a.truth() { Ok(a) } else { self.eval(b, scope) }
            }
            Node::Not(a) => Ok(Value::Bool(!self.eval(a, scope)?.truth())),
            Node::Cond { test, then, otherwise } => match (self.eval(test, scope)?.truth(), otherwise) {
                (true, _) => self.eval(then, scope),
                (false, Some(otherwise)) => self.eval(otherwise, scope),
                (false, None) => Ok(undefined(Undefined::Hint(
                    "the inline if-expression evaluated to false and no else section was defined",
                ))),
            },
            Node::Attr(of, name) => {
                let of = self.eval_base(of, scope)?;
                self.line = expr.line;
                self.attribute(&of, name)
            }
            Node::Item(of, key) => {
                let of = self.eval_base(of, scope)?;
                let key = self.eval(key, scope)?;
                self.line = expr.line;
                match (&of, &key) {
                    (Value::Loop(_), Value::Str(name)) => self.attribute(&of, &Arc::from(&**name)),
                    _ => index::element(&self.meter, &of, &key),
                }
            }
            Node::Call(..) => self.call_with(expr, None, scope),
            Node::Filter(of, name, args) => self.filter(of, name, args, scope),
            Node::Test(of, name, args) => {
                let of = self.eval(of, scope)?;
                let args = self.args(args, scope)?;
                self.line = expr.line;
                checks::call(&self.meter, name, &of, args).map(Value::Bool)
            }
            Node::Concat(parts) => self.concat(parts, scope),
            Node::Compare(first, rest) => self.compare(first, rest, scope),
            _ => self.construct(expr, scope),
        }
    }

    /// Arithmetic, containers and slices.
    fn construct(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Res<Value> {
        match &*expr.node {
            Node::Math(op, a, b) => {
                let a = self.eval(a, scope)?;
                let b = self.eval(b, scope)?;
                self.line = expr.line;
                ops::math(&self.meter, *op, &a, &b)
            }
            Node::Neg(a) => ops::sign(&self.eval(a, scope)?, true),
            Node::Pos(a) => ops::sign(&self.eval(a, scope)?, false),
            Node::List(parts) => {
                let items = self.eval_all(parts, scope)?;
                self.meter.list(items)
            }
            Node::Tuple(parts) => {
                let items = self.eval_all(parts, scope)?;
                self.meter.tuple(items)
            }
            Node::Dict(pairs) => {
                let mut evaluated = Vec::with_capacity(pairs.len());
                for (key, value) in pairs {
                    let key = self.eval(key, scope)?;
                    evaluated.push((key, self.eval(value, scope)?));
                }
                self.meter.dict(evaluated)
            }
            Node::Slice(of, bounds) => {
                let of = self.eval(of, scope)?;
                let mut evaluated = [const { None }; 3];
                for (value, bound) in evaluated.iter_mut().zip(bounds) {
                    if let Some(bound) = bound {
                        *value = Some(self.eval(bound, scope)?);
                    }
                }
                index::slice(&self.meter, &of, evaluated)
            }
            // All others are evaluated elsewhere.
            _ => Ok(Value::None),
        }
    }

    fn filter(&mut self, of: &Expr, name: &str, args: &Args, scope: &Rc<Scope>) -> Res<Value> {
        let of = self.eval(of, scope)?;
        let line = self.line;
        let args = self.args(args, scope)?;
        self.line = line;
        filters::call(&self.meter, name, of, args)
    }

    fn concat(&mut self, parts: &[Expr], scope: &Rc<Scope>) -> Res<Value> {
        let parts = self.eval_all(parts, scope)?;
        let mut out = Text::new(&self.meter);
        for part in &parts {
            write_str(&mut out, part)?;
        }
        self.meter.str(out.finish())
    }

    /// `a < b < c`: every operand evaluated once, and none after the first false comparison.
    fn compare(&mut self, first: &Expr, rest: &[(CompareOp, Expr)], scope: &Rc<Scope>) -> Res<Value> {
        let mut left = self.eval(first, scope)?;
        for (op, right) in rest {
            let right = self.eval(right, scope)?;
            if !ops::compare(&self.meter, *op, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn attribute(&mut self, of: &Value, name: &Arc<str>) -> Res<Value> {
        if let Value::Loop(loop_) = of
            && let Some(value) = self.loop_attribute(loop_, name)?
        {
            return Ok(value);
        }
        let found = index::attribute(&self.meter, of, name)?;
        if let Value::Method(method) = &found {
            self.escaping(&method.value.0)?;
        }
        Ok(found)
    }

    fn loop_attribute(&mut self, loop_: &Rc<LoopCell>, name: &str) -> Res<Option<Value>> {
        let count = loop_.state.borrow().count;
        let item = |at: Option<usize>, hint| match at.and_then(|at| loop_.source.value.get(at)) {
            Some(item) => item.clone(),
            None => undefined(Undefined::Hint(hint)),
        };
        Ok(Some(match name {
            "index" => Value::Int(count as i128),
            "index0" => Value::Int(count as i128 - 1),
            "first" => Value::Bool(count == 1),
            "depth" => Value::Int(loop_.depth0 as i128 + 1),
            "depth0" => Value::Int(loop_.depth0 as i128),
            "last" => Value::Bool(self.peek(loop_, 1)?.is_none()),
            "nextitem" => item(self.peek(loop_, 1)?, "there is no next item"),
            "previtem" => item(loop_.state.borrow().before, "there is no previous item"),
            "length" | "revindex" | "revindex0" => {
                self.peek(loop_, usize::MAX)?;
                let left = loop_.state.borrow().ahead.len();
                Value::Int(match name {
                    "length" => count + left,
                    "revindex" => left + 1,
                    _ => left,
                } as i128)
            }
            _ => return Ok(None),
        }))
    }

    /// Evaluated arguments of a call.
    pub(super) fn args(&mut self, args: &Args, scope: &Rc<Scope>) -> Res<CallArgs> {
        let mut call = CallArgs {
            positional: self.eval_all(&args.positional, scope)?,
            named: Vec::with_capacity(args.named.len()),
        };
        for (name, value) in &args.named {
            call.named.push((name.clone(), self.eval(value, scope)?));
        }
        if let Some(star) = &args.star {
            let star = self.eval(star, scope)?;
            call.positional.extend(index::items(&self.meter, &star)?);
        }
        if let Some(stars) = &args.double_star {
            let Value::Dict(dict) = self.eval(stars, scope)? else {
                return Fault::error("argument after ** must be a mapping");
            };
            for (key, value) in dict.value.pairs() {
                self.meter.spend(1)?;
                match key {
                    Value::Str(name) => call.named.push((Arc::from(&**name), value.clone())),
                    _ => return Fault::error("keywords must be strings"),
                }
            }
        }
        Ok(call)
    }
}
