//! Runs a template: statements. Expressions are in `eval`, calls in `call`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Expr, For, Stmt, StmtKind, Target};
use super::civil::CivilTime;
use super::index::items;
use super::limits::{Fault, Meter, Metered, Res};
use super::repr::to_text;
use super::scope::{LoopCell, LoopState, MacroValue, Registry, Scope};
use super::value::{SLOT, Value};

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

/// One rendering.
pub(super) struct Vm {
    pub(super) meter: Rc<Meter>,
    pub(super) registry: Registry,
    pub(super) now: Option<CivilTime>,
    /// Line of the statement or expression that runs, for messages.
    pub(super) line: u32,
    /// Text written so far; blocks that capture theirs put another on top.
    out: Vec<String>,
    /// Bytes in all of `out`.
    written: usize,
    /// What `Node::Captured` stands for.
    pub(super) captured: Value,
}

impl Vm {
    pub(super) fn new(meter: Rc<Meter>, now: Option<CivilTime>) -> Self {
        Self {
            registry: Registry::new(&meter),
            meter,
            now,
            line: 0,
            out: vec![String::new()],
            written: 0,
            captured: Value::None,
        }
    }

    /// The text written at the outermost level.
    pub(super) fn finish(mut self) -> String {
        self.out.pop().unwrap_or_default()
    }

    fn write(&mut self, text: &str) -> Res<()> {
        self.written += text.len();
        self.meter.ensure_output(self.written)?;
        self.meter.touch(text.len())?;
        if let Some(out) = self.out.last_mut() {
            out.push_str(text);
        }
        Ok(())
    }

    /// What `body` writes, as a value.
    pub(super) fn capture(&mut self, body: &[Stmt], scope: &Rc<Scope>) -> Res<Value> {
        self.captured_text(|vm| vm.run(body, scope).map(drop))
    }

    /// What `write` writes, as a value.
    pub(super) fn captured_text(&mut self, write: impl FnOnce(&mut Self) -> Res<()>) -> Res<Value> {
        self.out.push(String::new());
        let written = write(self);
        let text = self.out.pop().unwrap_or_default();
        self.written -= text.len();
        written?;
        self.meter.str(text)
    }

    pub(super) fn scope(&self, parent: &Rc<Scope>) -> Rc<Scope> {
        Scope::new(&self.meter, Some(parent.clone()))
    }

    /// Runs statements in order.
    pub(super) fn run(&mut self, body: &[Stmt], scope: &Rc<Scope>) -> Res<Flow> {
        for stmt in body {
            self.line = stmt.line;
            self.meter.spend(1)?;
            let flow = match &stmt.kind {
                StmtKind::Data(text) => {
                    self.write(text)?;
                    Flow::Next
                }
                StmtKind::Print(expr) => {
                    self.print(expr, scope)?;
                    Flow::Next
                }
                _ => {
                    let meter = self.meter.clone();
                    meter.deeper(|| self.step(stmt, scope))?
                }
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Res<()> {
        match self.eval(expr, scope)? {
            Value::Str(text) => self.write(&text),
            other => {
                let text = to_text(&self.meter, &other)?;
                self.write(&text)
            }
        }
    }

    fn step(&mut self, stmt: &Stmt, scope: &Rc<Scope>) -> Res<Flow> {
        match &stmt.kind {
            StmtKind::If { arms, otherwise } => {
                for (test, body) in arms {
                    if self.eval(test, scope)?.truth() {
                        return self.run(body, scope);
                    }
                }
                return self.run(otherwise, scope);
            }
            StmtKind::For(code) => return self.for_(code, scope),
            StmtKind::With(bindings, body) => {
                let inner = self.scope(scope);
                for (target, value) in bindings {
                    let value = self.eval(value, scope)?;
                    self.assign(target, value, &inner)?;
                }
                return self.run(body, &inner);
            }
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
            StmtKind::Scope(body) => {
                self.run(body, &self.scope(scope))?;
            }
            _ => self.define(stmt, scope)?,
        }
        Ok(Flow::Next)
    }

    /// Statements that bind names or filter what they capture.
    fn define(&mut self, stmt: &Stmt, scope: &Rc<Scope>) -> Res<()> {
        match &stmt.kind {
            StmtKind::Set(target, value) => {
                let value = self.eval(value, scope)?;
                self.assign(target, value, scope)
            }
            StmtKind::SetBlock(target, filter, body) => {
                let value = self.filtered(filter, body, scope)?;
                self.assign(target, value, scope)
            }
            StmtKind::FilterBlock(filter, body) => {
                let value = self.filtered(filter, body, scope)?;
                let text = to_text(&self.meter, &value)?;
                self.write(&text)
            }
            StmtKind::Macro(code) => {
                self.registry.capture(scope)?;
                let macro_ = MacroValue { code: code.clone(), scope: scope.clone() };
                let name = code.name.clone().unwrap_or_else(|| Arc::from(""));
                scope.set(name, Value::Macro(Rc::new(macro_)))
            }
            StmtKind::CallBlock(call, caller) => {
                self.registry.capture(scope)?;
                let caller = Value::Macro(Rc::new(MacroValue { code: caller.clone(), scope: scope.clone() }));
                let value = self.call_with(call, Some(caller), scope)?;
                let text = to_text(&self.meter, &value)?;
                self.write(&text)
            }
            StmtKind::Unavailable(message) => Fault::error(message.clone()),
            _ => Ok(()),
        }
    }

    fn filtered(&mut self, filter: &Expr, body: &[Stmt], scope: &Rc<Scope>) -> Res<Value> {
        let inner = self.scope(scope);
        let text = self.capture(body, &inner)?;
        let outer = std::mem::replace(&mut self.captured, text);
        let value = self.eval(filter, scope);
        self.captured = outer;
        value
    }

    pub(super) fn assign(&mut self, target: &Target, value: Value, scope: &Rc<Scope>) -> Res<()> {
        match target {
            Target::Name(name) => scope.set(name.clone(), value),
            Target::Attr(name, attribute) => match self.lookup(name, scope) {
                Value::Namespace(namespace) => namespace.set(attribute.clone(), value),
                other => {
                    other.defined()?;
                    Fault::error("cannot assign attribute on non-namespace object")
                }
            },
            Target::Tuple(targets) => {
                let values = items(&self.meter, &value)?;
                if values.len() != targets.len() {
                    let (wanted, got) = (targets.len(), values.len());
                    return Fault::error(if got < wanted {
                        format!("not enough values to unpack (expected {wanted}, got {got})")
                    } else {
                        format!("too many values to unpack (expected {wanted})")
                    });
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value, scope)?;
                }
                Ok(())
            }
        }
    }

    fn for_(&mut self, code: &Arc<For>, scope: &Rc<Scope>) -> Res<Flow> {
        let iterable = self.eval(&code.iterable, scope)?;
        self.iterate(code, &iterable, scope, 0)
    }

    /// Runs a loop over a value; `depth0` counts recursive calls of `loop`.
    pub(super) fn iterate(&mut self, code: &Arc<For>, iterable: &Value, scope: &Rc<Scope>, depth0: usize) -> Res<Flow> {
        let source = items(&self.meter, iterable)?;
        let nesting = 1 + source.iter().map(Value::depth).max().unwrap_or(0);
        let bytes = (source.len() + 4) * SLOT;
        let loop_ = Rc::new(LoopCell {
            code: code.clone(),
            scope: scope.clone(),
            source: Metered::new(&self.meter, source, bytes)?,
            state: RefCell::new(LoopState::default()),
            depth0,
            nesting,
        });
        let mut completed = false;
        while let Some(index) = self.advance(&loop_)? {
            let inner = self.scope(scope);
            let item = loop_.source.value[index].clone();
            self.assign(&code.target, item, &inner)?;
            inner.set(Arc::from("loop"), Value::Loop(loop_.clone()))?;
            match self.run(&code.body, &inner)? {
                Flow::Break => break,
                Flow::Continue => {}
                Flow::Next => completed = true,
            }
        }
        // Jinja's quirk: `else` also runs where every iteration was broken off or continued.
        if !completed && !code.otherwise.is_empty() {
            return self.run(&code.otherwise, &self.scope(scope));
        }
        Ok(Flow::Next)
    }

    /// Moves a loop to its next item and gives its index.
    fn advance(&mut self, loop_: &LoopCell) -> Res<Option<usize>> {
        let ahead = loop_.state.borrow_mut().ahead.pop_front();
        let next = match ahead {
            Some(index) => Some(index),
            None => self.pull(loop_)?,
        };
        if next.is_some() {
            let mut state = loop_.state.borrow_mut();
            state.before = state.current;
            state.current = next;
            state.count += 1;
        }
        Ok(next)
    }

    /// The next item that passes the loop's filter.
    fn pull(&mut self, loop_: &LoopCell) -> Res<Option<usize>> {
        loop {
            self.meter.spend(1)?;
            let index = {
                let mut state = loop_.state.borrow_mut();
                state.next += 1;
                state.next - 1
            };
            let Some(item) = loop_.source.value.get(index) else {
                loop_.state.borrow_mut().next = index;
                return Ok(None);
            };
            let Some(filter) = &loop_.code.filter else {
                return Ok(Some(index));
            };
            let inner = self.scope(&loop_.scope);
            self.assign(&loop_.code.target, item.clone(), &inner)?;
            if self.eval(filter, &inner)?.truth() {
                return Ok(Some(index));
            }
        }
    }

    /// Looks `count` items ahead and gives the index of the last of them.
    pub(super) fn peek(&mut self, loop_: &LoopCell, count: usize) -> Res<Option<usize>> {
        while loop_.state.borrow().ahead.len() < count {
            match self.pull(loop_)? {
                Some(index) => loop_.state.borrow_mut().ahead.push_back(index),
                None => return Ok(None),
            }
        }
        Ok(loop_.state.borrow().ahead.get(count - 1).copied())
    }
}
