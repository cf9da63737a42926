//! Variables, namespaces, loops and macros: the state of a running template that is shared and changes.
//!
//! Scopes that macros captured and namespaces can refer to one another in circles and in chains of any length. So the
//! [`Registry`] holds all of them while the template runs and empties them one by one at the end.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use super::ast::{For, Macro};
use super::limits::{Charge, Meter, Metered, Res};
use super::value::{SLOT, Value};

/// Variables of a template, a loop's iteration or a macro's call; what is missing is looked up in the parent.
#[derive(Debug)]
pub(super) struct Scope {
    vars: RefCell<HashMap<Arc<str>, Value>>,
    charge: Charge,
    parent: Option<Rc<Scope>>,
    captured: Cell<bool>,
}

impl Scope {
    pub(super) fn new(meter: &Rc<Meter>, parent: Option<Rc<Self>>) -> Rc<Self> {
        Rc::new(Self { vars: RefCell::default(), charge: Charge::new(meter), parent, captured: Cell::new(false) })
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(value) = here.vars.borrow().get(name) {
                return Some(value.clone());
            }
            scope = here.parent.as_deref();
        }
        None
    }

    pub(super) fn set(&self, name: Arc<str>, value: Value) -> Res<()> {
        let old = self.vars.borrow_mut().insert(name, value);
        match old {
            Some(_) => Ok(()),
            None => self.charge.add(2 * SLOT),
        }
    }
}

/// What `namespace()` makes: the one mutable object.
#[derive(Debug)]
pub(super) struct Namespace {
    attrs: RefCell<IndexMap<Arc<str>, Value>>,
    charge: Charge,
}

impl Namespace {
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        self.attrs.borrow().get(name).cloned()
    }

    pub(super) fn set(&self, name: Arc<str>, value: Value) -> Res<()> {
        let bytes = name.len() + 2 * SLOT;
        let old = self.attrs.borrow_mut().insert(name, value);
        match old {
            Some(_) => Ok(()),
            None => self.charge.add(bytes),
        }
    }

    /// Attributes in order of insertion.
    pub(super) fn pairs(&self) -> Vec<(Arc<str>, Value)> {
        let attrs = self.attrs.borrow();
        attrs.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

/// A macro and the scope it was defined in.
#[derive(Debug)]
pub(super) struct MacroValue {
    pub(super) code: Arc<Macro>,
    pub(super) scope: Rc<Scope>,
}

/// A running `for`: what the variable `loop` refers to.
#[derive(Debug)]
pub(super) struct LoopCell {
    pub(super) code: Arc<For>,
    /// Scope around the loop, where its filter is evaluated.
    pub(super) scope: Rc<Scope>,
    /// Everything iterated over, before the loop's filter.
    pub(super) source: Rc<Metered<Vec<Value>>>,
    pub(super) state: RefCell<LoopState>,
    pub(super) depth0: usize,
    pub(super) nesting: u32,
}

#[derive(Debug, Default)]
pub(super) struct LoopState {
    /// Next of `source` to look at.
    pub(super) next: usize,
    /// Items that passed the filter but were not yet iterated over, as indices into `source`.
    pub(super) ahead: VecDeque<usize>,
    /// Items iterated over so far.
    pub(super) count: usize,
    pub(super) current: Option<usize>,
    pub(super) before: Option<usize>,
    /// Arguments of the last `changed` call.
    pub(super) changed: Option<Value>,
}

impl LoopCell {
    pub(super) fn depth(&self) -> u32 {
        self.nesting
    }
}

/// Holds what may refer to itself.
#[derive(Debug)]
pub(super) struct Registry {
    scopes: RefCell<Vec<Rc<Scope>>>,
    namespaces: RefCell<Vec<Rc<Namespace>>>,
    charge: Charge,
}

impl Registry {
    pub(super) fn new(meter: &Rc<Meter>) -> Self {
        Self { scopes: RefCell::default(), namespaces: RefCell::default(), charge: Charge::new(meter) }
    }

    pub(super) fn namespace(&self, meter: &Rc<Meter>) -> Res<Rc<Namespace>> {
        self.charge.add(4 * SLOT)?;
        let namespace = Rc::new(Namespace { attrs: RefCell::default(), charge: Charge::new(meter) });
        self.namespaces.borrow_mut().push(namespace.clone());
        Ok(namespace)
    }

    /// Holds a scope that a macro or an escaping loop refers to, and all around it.
    pub(super) fn capture(&self, scope: &Rc<Scope>) -> Res<()> {
        let mut next = Some(scope);
        while let Some(scope) = next {
            if scope.captured.replace(true) {
                break;
            }
            self.charge.add(4 * SLOT)?;
            self.scopes.borrow_mut().push(scope.clone());
            next = scope.parent.as_ref();
        }
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // All contents are moved out before any is dropped: then no drop sets off another down a chain.
        let mut values: Vec<Value> = Vec::new();
        for scope in self.scopes.get_mut() {
            values.extend(scope.vars.take().into_values());
        }
        for namespace in self.namespaces.get_mut() {
            values.extend(namespace.attrs.take().into_values());
        }
    }
}
