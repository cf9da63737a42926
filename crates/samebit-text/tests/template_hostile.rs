//! Templates that try to hang, to exhaust memory or to overflow the stack: each ends soon, with one line.

use std::time::{Duration, Instant};

use samebit_text::template::{ChatTemplate, Limits, Message, RenderOptions, TemplateError};

/// Renders with limits small enough for a test build, and checks how it ended.
fn refused(source: &str) -> String {
    let start = Instant::now();
    let limits = Limits { fuel: 2_000_000, memory_bytes: 32 << 20, output_bytes: 4 << 20, ..Limits::default() };
    let messages = [Message::new("user", "hello")];
    let outcome = ChatTemplate::parse(source, None, None)
        .map(|template| template.with_limits(limits))
        .and_then(|template| template.render(&messages, &RenderOptions::default()));
    let name: String = source.chars().take(80).collect();
    assert!(start.elapsed() < Duration::from_secs(10), "{name} took {:?}", start.elapsed());
    let error = outcome.expect_err(&name);
    let line = error.to_string();
    assert!(!line.contains('\n') && line.len() < 1000, "{name}: {line}");
    line
}

fn limited(source: &str) {
    let line = refused(source);
    assert!(line.contains("exceeds the limit on"), "{source:.80}: {line}");
}

const LOOP: &str = "{% for a in range(99999) %}{% for b in range(99999) %}";
const ENDS: &str = "{% endfor %}{% endfor %}";

#[test]
fn endless_work() {
    limited(&format!("{LOOP}{ENDS}"));
    limited(&format!("{LOOP}x{ENDS}"));
    limited(&format!("{LOOP}{{% if a in messages %}}{{% endif %}}{ENDS}"));
    limited("{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}");
    limited("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}");
    assert!(refused("{{ range(10 ** 12) | list }}").contains("range too big"));
    assert!(refused("{{ 9 ** 9 ** 9 }}").contains("too large"));
    limited("{% set l = range(99999)|list %}{% for a in l %}{{ l|sort|length }}{% endfor %}");
    limited("{% for a in range(9999) %}{{ 'ab' * 100000 is string }}{{ ('ab' * 100000).find('zz') }}{% endfor %}");
}

#[test]
fn exponential_texts() {
    limited("{{ 'x' * 10 ** 9 }}");
    limited("{{ 10 ** 20 * 'x' }}");
    limited("{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}");
    limited("{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}");
    limited("{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s|replace('x', 'xx') %}{% endfor %}");
    limited("{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s.join([n.s, n.s]) %}{% endfor %}");
    limited(
        "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s %}{{ n.s }}{{ n.s }}{% endset %}{% endfor %}",
    );
    limited("{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = '%s%s' % (n.s, n.s) %}{% endfor %}");
    limited("{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = '{0}{0}'.format(n.s) %}{% endfor %}");
    limited("{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = [n.s, n.s]|tojson %}{% endfor %}");
    limited("{{ 'x'|center(10 ** 12) }}");
    limited("{{ 'x'.ljust(10 ** 12) }}");
    limited("{{ '1'.zfill(10 ** 12) }}");
    limited("{{ 'x\ny'|indent(10 ** 12) }}");
    limited("{{ [1]|tojson(indent=10 ** 12) }}");
    limited("{{ '%999999999999d' % 1 }}");
    limited("{{ '%.999999999999f' % 1 }}");
    limited("{{ '{:>999999999999}'.format(1) }}");
    limited("{{ '\t'.expandtabs(10 ** 12) }}");
}

#[test]
fn exponential_values() {
    limited("{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = n.l + n.l %}{% endfor %}");
    limited("{{ [1] * 10 ** 12 }}");
    limited("{{ (1,) * 10 ** 12 }}");
    limited("{{ [1]|batch(10 ** 12, 0)|list }}");
    limited("{{ [1]|slice(10 ** 12)|list }}");
    // Small values that are large when written, compared or used as keys.
    let wide = "{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}";
    limited(&format!("{wide}{{{{ n.l }}}}"));
    limited(&format!("{wide}{{{{ n.l|tojson }}}}"));
    limited(&format!(
        "{wide}{{% set m = namespace(l=[1]) %}}{{% for i in range(60) %}}{{% set m.l = [m.l, m.l] %}}{{% endfor %}}{{{{ n.l == m.l }}}}"
    ));
    limited(
        "{% set n = namespace(l=(1,)) %}{% for i in range(60) %}{% set n.l = (n.l, n.l) %}{% endfor %}{{ {n.l: 1} }}",
    );
}

#[test]
fn many_small_values() {
    limited(&format!("{{% set n = namespace(l=[]) %}}{LOOP}{{% set n.l = n.l + ['x'] %}}{ENDS}"));
    limited(&format!("{{% set n = namespace(m=0) %}}{LOOP}{{% macro m() %}}{{% endmacro %}}{{% set n.m = m %}}{ENDS}"));
    limited(&format!("{LOOP}{{% set n = namespace(a=1) %}}{ENDS}"));
}

#[test]
fn chains_of_values() {
    let nested = |step: &str| format!("{{% set n = namespace(x=1) %}}{LOOP}{step}{ENDS}");
    for step in [
        "{% set n.x = [n.x] %}",
        "{% set n.x = {'a': n.x} %}",
        "{% set n.x = (n.x,)|list %}",
        "{% set n.x = namespace(x=n.x) %}",
        "{% set n.x = {'a': n.x}.items() %}",
        "{% set n.x = cycler(n.x) %}",
        "{% set n.x = joiner(n.x) %}",
        "{% set n.x = [[n.x]]|map('list') %}",
        "{% for y in [n.x] %}{% set n.x = loop %}{% endfor %}",
        "{% set old = n.x %}{% for y in [1] %}{% set n.x = loop %}{% endfor %}",
        "{% set old = n.x %}{% for y in [1] %}{% set n.x = loop.cycle %}{% endfor %}",
        "{% set old = n.x %}{% macro m() %}{{ old }}{% endmacro %}{% set n.x = m %}",
        "{% set n.x = {}[n.x] %}{% set n.x = [n.x].q %}",
    ] {
        limited(&nested(step));
    }
    limited("{% set n = namespace() %}{% set n.x = n %}{{ n }}");
    limited("{{ 'a'|map(*(['map'] * 99999))|list }}");
}

#[test]
fn deep_syntax() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{1:", "}"),
        ("not ", ""),
        ("-", ""),
        ("x[", "]"),
        ("x(", ")"),
        ("x|map(", ")"),
        ("1 if 1 else ", ""),
        ("(1 if 1 else 2) if ", ""),
        ("1 + ", ""),
        ("1 ~ (", ")"),
        ("'a' is in (", ")"),
    ] {
        for depth in [1_000, 50_000] {
            limited(&format!("{{{{ {}1{} }}}}", open.repeat(depth), close.repeat(depth)));
        }
    }
    for chain in [".a", "[0]", "()", "|list", " + 1", " and 1", " ** 1"] {
        limited(&format!("{{{{ x{} }}}}", chain.repeat(50_000)));
    }
    for (open, close) in [
        ("{% if 1 %}", "{% endif %}"),
        ("{% for a in b %}", "{% endfor %}"),
        ("{% macro m() %}", "{% endmacro %}"),
        ("{% set a %}", "{% endset %}"),
        ("{% set ((", ""),
    ] {
        refused(&format!("{}{}", open.repeat(30_000), close.repeat(30_000)));
    }
    refused(&"{{ (".repeat(100_000));
    refused(&"{%".repeat(100_000));
    refused(&" ".repeat(2 << 20));
}

#[test]
fn deep_conversations() {
    let mut content = serde_json::Value::from("x");
    for _ in 0..400 {
        content = serde_json::Value::Array(vec![content]);
    }
    let template = ChatTemplate::parse("{{ messages }}", None, None).unwrap();
    let error = template.render(&[Message::new("user", content)], &RenderOptions::default()).unwrap_err();
    assert!(matches!(error, TemplateError::Limit { .. }), "{error}");
}

#[test]
fn the_conversation_does_not_count_as_the_templates_memory() {
    let limits = Limits { memory_bytes: 4 << 20, ..Limits::default() };
    let template = ChatTemplate::parse("{{ messages[0].content }}", None, None).unwrap();
    let text = "long ".repeat(2 << 20);
    let messages = [Message::new("user", text.clone())];
    let rendered = template.with_limits(limits).render(&messages, &RenderOptions::default());
    assert_eq!(rendered.unwrap(), text);
}

#[test]
fn refusals_are_one_line() {
    let line = refused("{{ raise_exception('a\nb\n' ~ 'c' * 5000) }}");
    assert!(line.contains("a b c"), "{line}");
}

#[test]
fn a_callers_small_stack_does_not_matter() {
    let sources = [
        "{% macro f(n) %}{% for i in [1] %}{% call f(n) %}{{ caller() }}{% endcall %}{% endfor %}{% endmacro %}{{ f(0) }}",
        "{% macro f(n=f()) %}{% endmacro %}{{ f() }}",
        "{{ 'a'|map(*(['map'] * 500))|list }}",
        "{% set n = namespace() %}{% set n.x = n %}{{ n }}",
    ];
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(60), ")".repeat(60));
    let run = move || {
        sources.into_iter().for_each(limited);
        let template = ChatTemplate::parse(&parens, None, None).unwrap();
        let rendered = template.render(&[], &RenderOptions::default());
        assert_eq!(rendered.as_deref(), Ok("1"));
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(run);
    thread.unwrap().join().unwrap();
}
