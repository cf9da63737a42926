//! The values of a running template: Python's, as far as templates see them. Knows no syntax and does no arithmetic.
//!
//! Everything that can be large lives in [`Metered`] cells. Containers know how deep they nest, and are refused beyond
//! [`MAX_NESTING`], so that printing, comparing and dropping them cannot overflow the stack.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap};

use super::limits::{Fault, MAX_NESTING, Meter, Metered, Res};
use super::scope::{LoopCell, MacroValue, Namespace};

/// Most items of all tuples in one key.
const KEY_ITEMS: usize = 16;

/// Bytes that one value occupies in a container, roughly.
pub(super) const SLOT: usize = 64;

#[derive(Debug, Clone)]
pub(super) enum Value {
    Undefined(Rc<Undefined>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Str),
    List(Rc<Metered<Seq>>),
    Tuple(Rc<Metered<Seq>>),
    Dict(Rc<Metered<Dict>>),
    Range(Range),
    /// A live view of a dictionary.
    View(View, Rc<Metered<Dict>>),
    /// What Python makes lazily and hands out once: generators and iterators.
    Iter(Rc<Metered<Iter>>),
    Namespace(Rc<Namespace>),
    Macro(Rc<MacroValue>),
    Loop(Rc<LoopCell>),
    Cycler(Rc<Metered<Cycler>>),
    Joiner(Rc<Joiner>),
    Function(Function),
    /// A method bound to its object.
    Method(Rc<Metered<(Value, Arc<str>)>>),
}

/// Why a value is undefined, for the message should it be used.
#[derive(Debug)]
pub(super) enum Undefined {
    Name(Arc<str>),
    /// An object's kind and the key it lacks.
    Key(String, Value),
    Hint(&'static str),
    /// A macro's parameter that was not passed.
    Parameter(Arc<str>),
    /// Attribute and kind of object: access is refused by the sandbox.
    Unsafe(Arc<str>, String),
}

/// A string; `safe` if it is markup, which escapes what is added to it.
#[derive(Debug, Clone)]
pub(super) struct Str {
    text: Rc<Metered<Box<str>>>,
    pub(super) safe: bool,
}

impl Deref for Str {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text.value
    }
}

impl Str {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.text, &other.text)
    }

    pub(super) fn as_safe(&self) -> Self {
        Self { text: self.text.clone(), safe: true }
    }
}

#[derive(Debug)]
pub(super) struct Seq {
    pub(super) items: Vec<Value>,
    depth: u32,
}

#[derive(Debug, Default)]
pub(super) struct Dict {
    /// Keys in the form they compare, to keys and values as given.
    pub(super) map: IndexMap<Key, (Value, Value)>,
    depth: u32,
}

impl Dict {
    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.map.get(key).map(|(_, value)| value)
    }

    pub(super) fn get_str(&self, key: &str) -> Option<&Value> {
        self.map.get(&StrKey(key)).map(|(_, value)| value)
    }

    /// Keys and values in order of insertion.
    pub(super) fn pairs(&self) -> impl DoubleEndedIterator<Item = &(Value, Value)> {
        self.map.values()
    }
}

/// A hashable value as Python compares keys: `1`, `1.0` and `True` are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    None,
    Int(i128),
    /// Bits of a float that is no integer.
    Float(u64),
    Str(Str),
    Tuple(Vec<Key>),
    /// Address of an object that compares by identity.
    Object(usize),
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Str {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::None => 0u8.hash(state),
            Self::Int(value) => value.hash(state),
            Self::Float(bits) => bits.hash(state),
            Self::Str(text) => text.deref().hash(state),
            Self::Tuple(items) => items.hash(state),
            Self::Object(address) => address.hash(state),
        }
    }
}

/// A string as a key, without making a [`Key`].
#[derive(Hash)]
struct StrKey<'s>(&'s str);

impl Equivalent<Key> for StrKey<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        matches!(key, Key::Str(text) if **text == *self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Keys,
    Values,
    Items,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) start: i128,
    pub(super) stop: i128,
    /// Never zero.
    pub(super) step: i128,
}

impl Range {
    pub(super) fn len(&self) -> usize {
        let span = if self.step > 0 { self.stop - self.start } else { self.start - self.stop };
        let step = self.step.abs();
        usize::try_from((span.max(0) + step - 1) / step).unwrap_or(usize::MAX)
    }

    pub(super) fn get(&self, index: usize) -> Value {
        Value::Int(self.start + self.step * index as i128)
    }
}

#[derive(Debug)]
pub(super) struct Iter {
    /// Python's name of such an iterator.
    pub(super) kind: &'static str,
    pub(super) items: RefCell<VecDeque<Value>>,
    depth: u32,
}

#[derive(Debug)]
pub(super) struct Cycler {
    pub(super) items: Vec<Value>,
    pub(super) at: Cell<usize>,
    depth: u32,
}

#[derive(Debug)]
pub(super) struct Joiner {
    pub(super) separator: Value,
    pub(super) used: Cell<bool>,
}

/// The functions every template can call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Range,
    Dict,
    Namespace,
    Cycler,
    Joiner,
    RaiseException,
    StrftimeNow,
}

/// One more than the deepest of `items`.
fn depth_over<'v>(items: impl Iterator<Item = &'v Value>) -> Res<u32> {
    let depth = 1 + items.map(Value::depth).max().unwrap_or(0);
    if depth > MAX_NESTING {
        return Err(Fault::Limit(format!("nesting ({MAX_NESTING} levels)")));
    }
    Ok(depth)
}

/// Making values, counted.
impl Meter {
    pub(super) fn text(self: &Rc<Self>, text: impl Into<Box<str>>) -> Res<Str> {
        let text = text.into();
        let bytes = text.len() + SLOT;
        Ok(Str { text: Metered::new(self, text, bytes)?, safe: false })
    }

    pub(super) fn str(self: &Rc<Self>, text: impl Into<Box<str>>) -> Res<Value> {
        Ok(Value::Str(self.text(text)?))
    }

    /// A copy of a borrowed text, refused before it is made.
    pub(super) fn copy(self: &Rc<Self>, text: &str) -> Res<Value> {
        self.ensure(text.len())?;
        self.str(text)
    }

    fn seq(self: &Rc<Self>, items: Vec<Value>) -> Res<Rc<Metered<Seq>>> {
        let bytes = (items.len() + 1) * SLOT;
        let depth = depth_over(items.iter())?;
        Metered::new(self, Seq { items, depth }, bytes)
    }

    pub(super) fn list(self: &Rc<Self>, items: Vec<Value>) -> Res<Value> {
        Ok(Value::List(self.seq(items)?))
    }

    pub(super) fn tuple(self: &Rc<Self>, items: Vec<Value>) -> Res<Value> {
        Ok(Value::Tuple(self.seq(items)?))
    }

    /// A dictionary; of equal keys the first stays, with the last one's value.
    pub(super) fn dict(self: &Rc<Self>, pairs: impl IntoIterator<Item = (Value, Value)>) -> Res<Value> {
        let mut map = IndexMap::new();
        for (key, value) in pairs {
            self.spend(1)?;
            match map.entry(key.key()?) {
                indexmap::map::Entry::Occupied(mut old) => {
                    let (_, slot): &mut (Value, Value) = old.get_mut();
                    *slot = value;
                }
                indexmap::map::Entry::Vacant(free) => {
                    free.insert((key, value));
                }
            }
        }
        let depth = depth_over(map.values().flat_map(|(k, v)| [k, v]))?;
        let bytes = (map.len() * 3 + 2) * SLOT;
        let dict = Metered::new(self, Dict { map, depth }, bytes)?;
        Ok(Value::Dict(dict))
    }

    pub(super) fn iter(self: &Rc<Self>, kind: &'static str, items: Vec<Value>) -> Res<Value> {
        let depth = depth_over(items.iter())?;
        let bytes = (items.len() + 2) * SLOT;
        let items = RefCell::new(items.into());
        let iter = Iter { kind, items, depth };
        Ok(Value::Iter(Metered::new(self, iter, bytes)?))
    }

    pub(super) fn generator(self: &Rc<Self>, items: Vec<Value>) -> Res<Value> {
        self.iter("generator", items)
    }

    pub(super) fn cycler(self: &Rc<Self>, items: Vec<Value>) -> Res<Value> {
        let depth = depth_over(items.iter())?;
        let bytes = (items.len() + 2) * SLOT;
        let at = Cell::new(0);
        let cycler = Cycler { items, at, depth };
        Ok(Value::Cycler(Metered::new(self, cycler, bytes)?))
    }

    pub(super) fn joiner(self: &Rc<Self>, separator: Value) -> Res<Value> {
        depth_over([&separator].into_iter())?;
        let used = Cell::new(false);
        Ok(Value::Joiner(Rc::new(Joiner { separator, used })))
    }

    pub(super) fn method(self: &Rc<Self>, of: Value, name: Arc<str>) -> Res<Value> {
        depth_over([&of].into_iter())?;
        Ok(Value::Method(Metered::new(self, (of, name), 2 * SLOT)?))
    }

    /// A value of a JSON document.
    pub(super) fn json(self: &Rc<Self>, json: &serde_json::Value, depth: u32) -> Res<Value> {
        use serde_json::Value as Json;
        if depth > MAX_NESTING {
            return Err(Fault::Limit(format!("nesting ({MAX_NESTING} levels)")));
        }
        match json {
            Json::Null => Ok(Value::None),
            Json::Bool(value) => Ok(Value::Bool(*value)),
            Json::Number(number) => Ok(match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Value::Int(value.into()),
                (None, Some(value)) => Value::Int(value.into()),
                (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            }),
            Json::String(text) => self.copy(text),
            Json::Array(items) => {
                let items = items.iter().map(|item| self.json(item, depth + 1));
                self.list(items.collect::<Res<_>>()?)
            }
            Json::Object(fields) => {
                let pairs = fields.iter().map(|(key, value)| Ok((self.copy(key)?, self.json(value, depth + 1)?)));
                self.dict(pairs.collect::<Res<Vec<_>>>()?)
            }
        }
    }
}

pub(super) fn undefined(why: Undefined) -> Value {
    Value::Undefined(Rc::new(why))
}

/// What `object` gives for a key it lacks.
pub(super) fn missing(object: &Value, key: &Value) -> Value {
    let kind = match object {
        Value::None => "None".into(),
        other => format!("{} object", other.type_name()),
    };
    // Only plain keys are kept: undefined values nest in nothing.
    let key = match key {
        Value::Str(_) => key.clone(),
        _ => Value::None,
    };
    undefined(Undefined::Key(kind, key))
}

impl Value {
    /// How deep containers nest in this one.
    pub(super) fn depth(&self) -> u32 {
        match self {
            Self::List(seq) | Self::Tuple(seq) => seq.value.depth,
            Self::Dict(dict) | Self::View(_, dict) => dict.value.depth,
            Self::Iter(iter) => iter.value.depth,
            Self::Cycler(cycler) => cycler.value.depth,
            Self::Loop(loop_) => loop_.depth(),
            Self::Joiner(joiner) => 1 + joiner.separator.depth(),
            Self::Method(method) => 1 + method.value.0.depth(),
            // Namespaces and scopes are emptied one by one when rendering ends, so they add no depth.
            _ => 0,
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    /// Python's name of the type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(text) if text.safe => "Markup",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Range(_) => "range",
            Self::View(View::Keys, _) => "dict_keys",
            Self::View(View::Values, _) => "dict_values",
            Self::View(View::Items, _) => "dict_items",
            Self::Iter(iter) => iter.value.kind,
            Self::Namespace(_) => "Namespace",
            Self::Macro(_) => "Macro",
            Self::Loop(_) => "LoopContext",
            Self::Cycler(_) => "Cycler",
            Self::Joiner(_) => "Joiner",
            Self::Function(_) => "function",
            Self::Method(_) => "builtin_function_or_method",
        }
    }

    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            _ => self.len() != Some(0),
        }
    }

    /// `len()`, where Python has it.
    pub(super) fn len(&self) -> Option<usize> {
        Some(match self {
            Self::Undefined(_) => 0,
            Self::Str(text) => text.chars().count(),
            Self::List(seq) | Self::Tuple(seq) => seq.value.items.len(),
            Self::Dict(dict) | Self::View(_, dict) => dict.value.map.len(),
            Self::Range(range) => range.len(),
            _ => return None,
        })
    }

    /// The value as a dictionary's key.
    pub(super) fn key(&self) -> Res<Key> {
        self.key_within(&mut { KEY_ITEMS })
    }

    fn key_within(&self, room: &mut usize) -> Res<Key> {
        Ok(match self {
            Self::None => Key::None,
            Self::Bool(value) => Key::Int((*value).into()),
            Self::Int(value) => Key::Int(*value),
            Self::Float(value) if value.trunc() == *value && value.abs() < 1e30 => Key::Int(*value as i128),
            Self::Float(value) => Key::Float(value.to_bits()),
            Self::Str(text) => Key::Str(text.clone()),
            Self::Tuple(seq) => {
                // Tuples of tuples of one tuple are small as values, but not as keys.
                *room = room
                    .checked_sub(seq.value.items.len())
                    .ok_or_else(|| Fault::Limit(format!("a key's size ({KEY_ITEMS} items)")))?;
                let keys = seq.value.items.iter().map(|item| item.key_within(room));
                Key::Tuple(keys.collect::<Res<_>>()?)
            }
            Self::Undefined(_) => Key::Object(0),
            Self::Range(range) => Key::Tuple(
                [range.start, range.stop, range.step].map(Key::Int).into_iter().chain([Key::Object(1)]).collect(),
            ),
            Self::List(_) | Self::Dict(_) | Self::View(View::Keys | View::Items, _) => {
                return Fault::error(format!("unhashable type: '{}'", self.type_name()));
            }
            other => Key::Object(other.address()),
        })
    }

    /// Address of an object that compares by identity; 0 for others.
    pub(super) fn address(&self) -> usize {
        match self {
            Self::View(_, dict) => Rc::as_ptr(dict) as usize,
            Self::Iter(iter) => Rc::as_ptr(iter) as usize,
            Self::Namespace(namespace) => Rc::as_ptr(namespace) as usize,
            Self::Macro(macro_) => Rc::as_ptr(macro_) as usize,
            Self::Loop(loop_) => Rc::as_ptr(loop_) as usize,
            Self::Cycler(cycler) => Rc::as_ptr(cycler) as usize,
            Self::Joiner(joiner) => Rc::as_ptr(joiner) as usize,
            Self::Function(function) => 16 + *function as usize,
            Self::Method(method) => Rc::as_ptr(method) as usize,
            _ => 0,
        }
    }

    /// The error of using an undefined value, or of an operation that its type lacks.
    pub(super) fn undefined_error(&self) -> Option<Fault> {
        let Self::Undefined(why) = self else {
            return None;
        };
        Some(Fault::Error(match &**why {
            Undefined::Name(name) => format!("'{name}' is undefined"),
            Undefined::Key(object, Value::Str(name)) => {
                format!("'{object}' has no attribute '{}'", excerpt(name))
            }
            Undefined::Key(object, _) => format!("'{object}' has no such element"),
            Undefined::Hint(hint) => (*hint).into(),
            Undefined::Parameter(name) => format!("parameter '{name}' was not provided"),
            Undefined::Unsafe(name, object) => {
                format!("access to attribute '{name}' of '{object}' object is unsafe")
            }
        }))
    }

    /// Err with the undefined value's message if this is one.
    pub(super) fn defined(&self) -> Res<&Self> {
        match self.undefined_error() {
            Some(fault) => Err(fault),
            None => Ok(self),
        }
    }
}

/// The beginning of a text, short enough for a one-line message.
pub(super) fn excerpt(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.into(),
    }
}
