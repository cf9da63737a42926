//! Runs a template: calls of macros, methods, loops and global functions.

use std::rc::Rc;
use std::sync::Arc;

use super::args::{CallArgs, integer, required, string};
use super::ast::{Expr, Node};
use super::index::{self, FAR};
use super::limits::{Fault, Res};
use super::methods;
use super::ops::equal;
use super::repr::to_text;
use super::scope::{LoopCell, MacroValue, Scope};
use super::value::{Function, Range, Undefined, Value, undefined};
use super::vm::Vm;

/// Longest range that Jinja's sandbox makes.
const MAX_RANGE: usize = 100_000;

impl Vm {
    /// Evaluates a call; a call block passes its body as `caller`.
    pub(super) fn call_with(&mut self, call: &Expr, caller: Option<Value>, scope: &Rc<Scope>) -> Res<Value> {
        let Node::Call(of, args) = &*call.node else {
            return Fault::error("expected a call");
        };
        // A method is called without making it a value first.
        if let (Node::Attr(base, name), None) = (&*of.node, &caller) {
            let base = self.eval_base(base, scope)?;
            if methods::exists(&base, name) && !methods::is_unsafe(&base, name) {
                let args = self.args(args, scope)?;
                self.line = call.line;
                return self.method(&base, name, args);
            }
            let of = index::attribute(&self.meter, &base, name)?;
            let args = self.args(args, scope)?;
            self.line = call.line;
            return self.call(&of, args);
        }
        let of = self.eval_base(of, scope)?;
        let mut args = self.args(args, scope)?;
        if let Some(caller) = caller {
            args.named.push((Arc::from("caller"), caller));
        }
        self.line = call.line;
        self.call(&of, args)
    }

    fn call(&mut self, of: &Value, args: CallArgs) -> Res<Value> {
        match of.defined()? {
            Value::Macro(macro_) => self.call_macro(macro_, args),
            Value::Function(function) => self.function(*function, args),
            Value::Method(method) => self.method(&method.value.0, &method.value.1, args),
            Value::Loop(loop_) => {
                let [items] = args.bind("loop", ["iterable"])?;
                self.recurse(loop_, &required("loop", items)?)
            }
            Value::Joiner(joiner) => {
                if joiner.used.replace(true) {
                    Ok(joiner.separator.clone())
                } else {
                    self.meter.str("")
                }
            }
            other => Fault::error(format!("'{}' object is not callable", other.type_name())),
        }
    }

    fn method(&mut self, of: &Value, name: &str, args: CallArgs) -> Res<Value> {
        let Value::Loop(loop_) = of else {
            return methods::call(&self.meter, of, name, args);
        };
        if !args.named.is_empty() {
            return Fault::error(format!("loop.{name}() takes no keyword arguments"));
        }
        if name == "cycle" {
            let at = loop_.state.borrow().count.saturating_sub(1);
            return match args.positional.len() {
                0 => Fault::error("no items for cycling given"),
                len => Ok(args.positional[at % len].clone()),
            };
        }
        let now = self.meter.tuple(args.positional)?;
        let before = loop_.state.borrow().changed.clone();
        let changed = match before {
            Some(before) => !equal(&self.meter, &before, &now)?,
            None => true,
        };
        loop_.state.borrow_mut().changed = Some(now);
        Ok(Value::Bool(changed))
    }

    /// `loop(items)` inside of a recursive loop.
    fn recurse(&mut self, loop_: &LoopCell, items: &Value) -> Res<Value> {
        if !loop_.code.recursive {
            return Fault::error("the loop must have the 'recursive' marker to be called recursively");
        }
        let meter = self.meter.clone();
        meter.deeper(|| {
            let (code, scope) = (loop_.code.clone(), loop_.scope.clone());
            self.captured_text(|vm| vm.iterate(&code, items, &scope, loop_.depth0 + 1).map(drop))
        })
    }

    fn call_macro(&mut self, macro_: &Rc<MacroValue>, args: CallArgs) -> Res<Value> {
        let code = macro_.code.clone();
        let scope = self.scope(&macro_.scope);
        let name = code.name.as_deref().unwrap_or("anonymous");
        let mut positional = args.positional.into_iter();
        let mut named = args.named;
        let first_default = code.params.len() - code.defaults.len();
        for (index, param) in code.params.iter().enumerate() {
            let passed = match positional.next() {
                Some(value) => Some(value),
                None => take(&mut named, param),
            };
            let value = match (passed, index.checked_sub(first_default)) {
                (Some(value), _) => value,
                (None, Some(default)) => self.eval(&code.defaults[default], &scope)?,
                (None, None) => undefined(Undefined::Parameter(param.clone())),
            };
            scope.set(param.clone(), value)?;
        }
        if code.caller && !code.params.iter().any(|param| &**param == "caller") {
            let caller = take(&mut named, "caller");
            let none = || undefined(Undefined::Hint("no caller defined"));
            scope.set(Arc::from("caller"), caller.unwrap_or_else(none))?;
        }
        if code.kwargs {
            let pairs = named.into_iter();
            let pairs = pairs.map(|(name, value)| Ok((self.meter.copy(&name)?, value)));
            let kwargs = self.meter.dict(pairs.collect::<Res<Vec<_>>>()?)?;
            scope.set(Arc::from("kwargs"), kwargs)?;
        } else if let Some((unknown, _)) = named.first() {
            return Fault::error(format!("macro '{name}' takes no keyword argument '{unknown}'"));
        }
        if code.varargs {
            let varargs = self.meter.tuple(positional.collect())?;
            scope.set(Arc::from("varargs"), varargs)?;
        } else if positional.next().is_some() {
            let most = code.params.len();
            return Fault::error(format!("macro '{name}' takes not more than {most} argument(s)"));
        }
        let meter = self.meter.clone();
        meter.deeper(|| self.capture(&code.body, &scope))
    }

    fn function(&mut self, function: Function, args: CallArgs) -> Res<Value> {
        match function {
            Function::Range => self.range(args),
            Function::Dict => self.dict(args),
            Function::Namespace => {
                let dict = self.dict(args)?;
                let namespace = self.registry.namespace(&self.meter)?;
                if let Value::Dict(dict) = dict {
                    for (name, value) in dict.value.pairs() {
                        // Attributes are text; other keys could not be read back.
                        if let Value::Str(name) = name {
                            namespace.set(Arc::from(&**name), value.clone())?;
                        }
                    }
                }
                Ok(Value::Namespace(namespace))
            }
            Function::Cycler => {
                if args.positional.is_empty() || !args.named.is_empty() {
                    return Fault::error("at least one item has to be provided");
                }
                self.meter.cycler(args.positional)
            }
            Function::Joiner => {
                let [separator] = args.bind("joiner", ["sep"])?;
                let separator = match separator {
                    Some(separator) => separator,
                    None => self.meter.str(", ")?,
                };
                self.meter.joiner(separator)
            }
            Function::RaiseException => {
                let [message] = args.bind("raise_exception", ["message"])?;
                let message = required("raise_exception", message)?;
                Err(Fault::Raised(to_text(&self.meter, &message)?))
            }
            Function::StrftimeNow => {
                let [format] = args.bind("strftime_now", ["format"])?;
                let format = required("strftime_now", format)?;
                let format = string("strftime_now", &format)?;
                // No conversion gives more than a few times its length.
                self.meter.ensure(format.len().saturating_mul(16))?;
                match self.now {
                    Some(now) if now.is_valid() => self.meter.str(now.strftime(format)),
                    _ => Fault::error("strftime_now: there is no such time"),
                }
            }
        }
    }

    fn range(&mut self, args: CallArgs) -> Res<Value> {
        let mut bounds = Vec::new();
        for value in &args.positional {
            bounds.push(integer("range", value)?);
        }
        let (start, stop, step) = match (bounds[..].as_ref(), args.named.is_empty()) {
            (&[stop], true) => (0, stop, 1),
            (&[start, stop], true) => (start, stop, 1),
            (&[start, stop, step], true) => (start, stop, step),
            _ => return Fault::error("range() takes one to three integers"),
        };
        if step == 0 {
            return Fault::error("range() arg 3 must not be zero");
        }
        if [start, stop, step].iter().any(|bound| bound.abs() > FAR) {
            return Fault::error("range() bounds are too large");
        }
        let range = Range { start, stop, step };
        if range.len() > MAX_RANGE {
            return Fault::error(format!("range too big: the sandbox blocks ranges larger than {MAX_RANGE}"));
        }
        Ok(Value::Range(range))
    }

    /// `dict(mapping or pairs, **named)`.
    fn dict(&mut self, mut args: CallArgs) -> Res<Value> {
        let mut pairs = Vec::new();
        if args.positional.len() > 1 {
            return Fault::error("dict() takes at most one positional argument");
        }
        match args.positional.pop() {
            None => {}
            Some(Value::Dict(dict)) => pairs.extend(dict.value.pairs().cloned()),
            Some(other) => {
                for pair in index::items(&self.meter, other.defined()?)? {
                    match &index::items(&self.meter, &pair)?[..] {
                        [key, value] => pairs.push((key.clone(), value.clone())),
                        _ => return Fault::error("dict() needs pairs of a key and a value"),
                    }
                }
            }
        }
        for (name, value) in args.named {
            pairs.push((self.meter.copy(&name)?, value));
        }
        self.meter.dict(pairs)
    }
}

/// Removes a named argument.
fn take(named: &mut Vec<(Arc<str>, Value)>, name: &str) -> Option<Value> {
    let at = named.iter().position(|(n, _)| **n == *name)?;
    Some(named.remove(at).1)
}
