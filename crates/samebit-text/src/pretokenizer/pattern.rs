//! A pre-tokenizer's regular expression, read into a program for [`super::matcher`]. Knows no text.
//!
//! The dialect is what published tokenizers need of Perl's: classes with `&&`, `\p{…}`, `\s`, `\S`, `\d`,
//! non-capturing groups with or without `i`, greedy quantifiers, `|`, `$` (the very end), and a one-class
//! look-ahead `(?!…)`. The patterns are this crate's own constants: a mistake in one is found by the test that
//! reads them all, so reading one panics rather than reporting.

use std::iter::Peekable;
use std::str::Chars;

use super::class::Class;

/// One instruction. Targets are indices of instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Consumes one code point of the class, or fails.
    Take(Class),
    /// Fails where a code point of the class follows.
    NotBefore(Class),
    /// Fails except at the very end.
    AtEnd,
    /// Tries `first`, then `second`. `memo` numbers the ones in loops.
    Fork { first: usize, second: usize, memo: Option<usize> },
    /// Goes on elsewhere.
    Jump(usize),
    /// The match is complete.
    Done,
}

/// A pattern ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(super) steps: Vec<Step>,
    /// The number of forks with a memo.
    pub(super) memos: usize,
}

/// A pattern as read, before it is laid out as steps.
#[derive(Clone, Debug)]
enum Node {
    One(Class),
    NotBefore(Class),
    AtEnd,
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    /// At least `min` times, at most `max` (without a bound if `None`), as often as possible first.
    Repeat(Box<Node>, u32, Option<u32>),
}

impl Pattern {
    /// Reads `source`, one of this crate's own patterns.
    ///
    /// # Panics
    /// It is not in the dialect.
    pub(crate) fn new(source: &str) -> Self {
        let mut reader = Reader { rest: source.chars().peekable(), ignore_case: false };
        let node = reader.choice();
        assert!(reader.rest.peek().is_none(), "unbalanced ')' in pattern {source}");
        let mut pattern = Pattern { steps: Vec::new(), memos: 0 };
        pattern.lay_out(&node);
        pattern.steps.push(Step::Done);
        pattern
    }

    fn lay_out(&mut self, node: &Node) {
        match node {
            Node::One(class) => self.steps.push(Step::Take(class.clone())),
            Node::NotBefore(class) => self.steps.push(Step::NotBefore(class.clone())),
            Node::AtEnd => self.steps.push(Step::AtEnd),
            Node::Sequence(nodes) => nodes.iter().for_each(|node| self.lay_out(node)),
            Node::Choice(nodes) => self.lay_out_choice(nodes),
            Node::Repeat(node, min, max) => self.lay_out_repeat(node, *min, *max),
        }
    }

    fn lay_out_choice(&mut self, nodes: &[Node]) {
        let mut jumps = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            if i + 1 == nodes.len() {
                self.lay_out(node);
                break;
            }
            let fork = self.push_fork(None);
            self.lay_out(node);
            jumps.push(self.steps.len());
            self.steps.push(Step::Jump(0));
            self.aim(fork, self.steps.len());
        }
        let end = self.steps.len();
        for jump in jumps {
            self.steps[jump] = Step::Jump(end);
        }
    }

    fn lay_out_repeat(&mut self, node: &Node, min: u32, max: Option<u32>) {
        (0..min).for_each(|_| self.lay_out(node));
        match max {
            None => {
                let memo = self.memos;
                self.memos += 1;
                let fork = self.push_fork(Some(memo));
                self.lay_out(node);
                self.steps.push(Step::Jump(fork));
                self.aim(fork, self.steps.len());
            }
            Some(max) => {
                let forks: Vec<usize> = (min..max)
                    .map(|_| {
                        let fork = self.push_fork(None);
                        self.lay_out(node);
                        fork
                    })
                    .collect();
                let end = self.steps.len();
                forks.into_iter().for_each(|fork| self.aim(fork, end));
            }
        }
    }

    /// Adds a fork whose first way is the next step; `aim` sets its second.
    fn push_fork(&mut self, memo: Option<usize>) -> usize {
        let at = self.steps.len();
        self.steps.push(Step::Fork { first: at + 1, second: at, memo });
        at
    }

    fn aim(&mut self, fork: usize, target: usize) {
        if let Step::Fork { second, .. } = &mut self.steps[fork] {
            *second = target;
        }
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    ignore_case: bool,
}

impl Reader<'_> {
    fn next(&mut self) -> char {
        self.rest.next().unwrap_or_else(|| panic!("a pattern ends early"))
    }

    fn take_if(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn choice(&mut self) -> Node {
        let mut ways = vec![self.sequence()];
        while self.take_if('|') {
            ways.push(self.sequence());
        }
        if ways.len() == 1 { ways.remove(0) } else { Node::Choice(ways) }
    }

    fn sequence(&mut self) -> Node {
        let mut nodes = Vec::new();
        while self.rest.peek().is_some_and(|c| !"|)".contains(*c)) {
            let node = self.atom();
            nodes.push(self.quantified(node));
        }
        Node::Sequence(nodes)
    }

    fn atom(&mut self) -> Node {
        match self.next() {
            '(' => self.group(),
            '$' => Node::AtEnd,
            '[' => Node::One(self.bracket()),
            c => {
                let class = self.single(c);
                Node::One(self.cased(class))
            }
        }
    }

    fn cased(&self, class: Class) -> Class {
        if self.ignore_case { class.ignore_ascii_case() } else { class }
    }

    /// After `(`: `?:…)`, `?i:…)` or `?!…)`.
    fn group(&mut self) -> Node {
        assert!(self.take_if('?'), "groups in patterns capture nothing");
        let outer = self.ignore_case;
        let kind = self.next();
        if kind == 'i' {
            self.ignore_case = true;
            assert!(self.take_if(':'), "the only flag is i");
        }
        let inner = self.choice();
        assert!(self.take_if(')'), "a group is not closed");
        self.ignore_case = outer;
        match (kind, inner) {
            (':' | 'i', node) => node,
            ('!', Node::Sequence(nodes)) => match nodes.as_slice() {
                [Node::One(class)] => Node::NotBefore(class.clone()),
                other => panic!("a look-ahead is one class, not {other:?}"),
            },
            (kind, _) => panic!("no groups of kind ?{kind}"),
        }
    }

    fn quantified(&mut self, node: Node) -> Node {
        let repeat = |min, max| Node::Repeat(Box::new(node.clone()), min, max);
        match self.rest.peek() {
            Some('?') => (self.next(), repeat(0, Some(1))).1,
            Some('*') => (self.next(), repeat(0, None)).1,
            Some('+') => (self.next(), repeat(1, None)).1,
            Some('{') => {
                self.next();
                let min = self.number();
                let max = if self.take_if(',') { self.number() } else { min };
                assert!(self.take_if('}'), "a quantifier is not closed");
                repeat(min, Some(max))
            }
            _ => node,
        }
    }

    fn number(&mut self) -> u32 {
        let mut value = 0;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            self.next();
            value = value * 10 + digit;
        }
        value
    }

    /// After `[`, to the closing bracket.
    fn bracket(&mut self) -> Class {
        let negated = self.take_if('^');
        let mut class = Class::empty();
        loop {
            match self.next() {
                ']' => break,
                '[' => class = class.union(self.bracket()),
                '&' if self.take_if('&') => {
                    class = class.intersection(self.bracket());
                    break; // the right side ran to the closing bracket
                }
                c => class = class.union(self.member(c)),
            }
        }
        let class = self.cased(class);
        if negated { class.complement() } else { class }
    }

    /// One member of a bracket expression: a range or a single.
    fn member(&mut self, c: char) -> Class {
        let escaped_class = c == '\\' && self.rest.peek().is_some_and(|c| "psSd".contains(*c));
        if escaped_class {
            return self.single(c);
        }
        let first = self.literal(c);
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            self.next();
            let last = self.next();
            let last = self.literal(last);
            assert!(first <= last, "a range is upside down");
            return Class::range(first as u32, last as u32);
        }
        Class::range(first as u32, first as u32)
    }

    /// A class of its own: `\p{…}`, `\s`, …, or a literal.
    fn single(&mut self, c: char) -> Class {
        if c == '\\' {
            let letter = *self.rest.peek().unwrap_or(&'\\');
            if let Some(class) = Class::shorthand(letter) {
                self.next();
                return class;
            }
            if letter == 'p' {
                self.next();
                assert!(self.take_if('{'), "\\p is followed by a name in braces");
                let name: String = std::iter::from_fn(|| self.rest.next_if(|c| *c != '}')).collect();
                self.next();
                return Class::property(&name).unwrap_or_else(|| panic!("no property {name}"));
            }
        }
        let literal = self.literal(c) as u32;
        Class::range(literal, literal)
    }

    fn literal(&mut self, c: char) -> char {
        if c != '\\' {
            return c;
        }
        match self.next() {
            'r' => '\r',
            'n' => '\n',
            't' => '\t',
            c => c,
        }
    }
}
