//! The syntax tree of a template. Shared between threads, so it holds no values of the interpreter.

use std::sync::Arc;

/// Statements in order.
pub(super) type Body = Vec<Stmt>;

#[derive(Debug)]
pub(super) struct Stmt {
    pub(super) line: u32,
    pub(super) kind: StmtKind,
}

#[derive(Debug)]
pub(super) enum StmtKind {
    /// Text outside tags.
    Data(String),
    /// `{{ expression }}`.
    Print(Expr),
    If {
        arms: Vec<(Expr, Body)>,
        otherwise: Body,
    },
    For(Arc<For>),
    Set(Target, Expr),
    /// `{% set x | filter %}…{% endset %}`.
    SetBlock(Target, Expr, Body),
    Macro(Arc<Macro>),
    /// `{% call(args) expression %}…{% endcall %}`.
    CallBlock(Expr, Arc<Macro>),
    /// `{% filter … %}…{% endfilter %}`.
    FilterBlock(Expr, Body),
    With(Vec<(Target, Expr)>, Body),
    /// A body with a scope of its own: `generation`, `block`.
    Scope(Body),
    Break,
    Continue,
    /// A tag that needs what a chat template has not, such as other templates. Fails when reached.
    Unavailable(String),
}

#[derive(Debug)]
pub(super) struct For {
    pub(super) target: Target,
    pub(super) iterable: Expr,
    pub(super) filter: Option<Expr>,
    pub(super) recursive: bool,
    pub(super) body: Body,
    pub(super) otherwise: Body,
}

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Option<Arc<str>>,
    /// Parameters; the last `defaults.len()` of them have a default.
    pub(super) params: Vec<Arc<str>>,
    pub(super) defaults: Vec<Expr>,
    /// Whether the body mentions `varargs`, `kwargs`, `caller`: only then may a call pass any.
    pub(super) varargs: bool,
    pub(super) kwargs: bool,
    pub(super) caller: bool,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Target {
    Name(Arc<str>),
    /// `namespace.attribute`.
    Attr(Arc<str>, Arc<str>),
    Tuple(Vec<Target>),
}

/// An expression. `depth` bounds every recursion over it.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) node: Box<Node>,
    pub(super) line: u32,
    pub(super) depth: u32,
}

#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(String),
    Name(Arc<str>),
    /// What the enclosing block captured: the operand of a block's filter.
    Captured,
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Not(Expr),
    Neg(Expr),
    Pos(Expr),
    And(Expr, Expr),
    Or(Expr, Expr),
    Math(MathOp, Expr, Expr),
    Concat(Vec<Expr>),
    Compare(Expr, Vec<(CompareOp, Expr)>),
    Cond {
        test: Expr,
        then: Expr,
        otherwise: Option<Expr>,
    },
    Attr(Expr, Arc<str>),
    Item(Expr, Expr),
    Slice(Expr, [Option<Expr>; 3]),
    Call(Expr, Args),
    Filter(Expr, String, Args),
    Test(Expr, String, Args),
}

#[derive(Debug, Default)]
pub(super) struct Args {
    pub(super) positional: Vec<Expr>,
    pub(super) named: Vec<(Arc<str>, Expr)>,
    /// `*list`.
    pub(super) star: Option<Expr>,
    /// `**mapping`.
    pub(super) double_star: Option<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MathOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

impl MathOp {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::FloorDiv => "//",
            Self::Mod => "%",
            Self::Pow => "** or pow()",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

impl CompareOp {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::In => "in",
            Self::NotIn => "not in",
        }
    }
}
