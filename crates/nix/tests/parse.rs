//! What sources mean, as `nix-instantiate --parse` of Nix 2.8 shows it (checked against it; where 2.36 prints differently, 2.36 is followed).

use qualm_nix::Context;
use qualm_nix::parser::parse;
use qualm_nix::print::print;
use qualm_nix::scope::check;

fn context() -> Context {
    Context { origin: "x.nix".into(), folder: b"/f".to_vec(), home: Some(b"/h".to_vec()), pipe_operators: true }
}

fn shown(source: &[u8]) -> String {
    match parse(source, &context()) {
        Ok((tree, root)) => String::from_utf8_lossy(&print(&tree, root)).into_owned(),
        Err(problem) => format!("{}: {}", problem.at, problem.message),
    }
}

#[track_caller]
fn all(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(shown(source.as_bytes()), *expected, "{source}");
    }
}

#[test]
fn operators_bind_as_they_should() {
    all(&[
        ("a // b ++ c * d / 5 - 6", "(a // (__sub (__div (__mul (b ++ c) d) 5) 6))"),
        ("!a && b || c == d -> e", "((((! a) && b) || (c == d)) -> e)"),
        ("a -> b -> c", "(a -> (b -> c))"),
        ("a ++ b ++ c", "(a ++ (b ++ c))"),
        ("a + b + c", "((a + b) + c)"),
        ("- - 1 - -2", "(__sub (__sub 0 (__sub 0 1)) (__sub 0 2))"),
        ("!a ? b", "(! ((a) ? b))"),
        ("-a.b ? c.\"d\"", "(((__sub 0 (a).b)) ? c.d)"),
        ("a <= b", "(! (__lessThan b a))"),
        ("a > b", "(__lessThan b a)"),
        ("a >= b", "(! (__lessThan a b))"),
        ("f a.b or c d", "(f (a).b or (c) d)"),
        ("f or [ ]", "(f or [ ])"),
        ("(f a) b", "(f a b)"),
        ("a * !b", "(__mul a (! b))"),
        ("1 |> f |> g 2", "(g 2 (f 1))"),
        ("f <| g <| 1", "(f (g 1))"),
        ("a < b < c", "6: syntax error, unexpected '<'"),
        ("a == b != c", "7: syntax error, unexpected '!='"),
        ("a ? b ? c", "6: syntax error, unexpected '?'"),
        ("1 + if a then b else c", "4: syntax error, unexpected 'if'"),
        ("a |> f <| b", "7: syntax error, unexpected '<|'"),
    ]);
}

#[test]
fn the_longest_token_wins() {
    all(&[
        ("[ 1.5 .5 1e10 01.5 1.2.3 1. ]", "[ (1.5) (0.5) (1) (e10) (1) (0.5) (1.2) (0.3) (1) ]"),
        ("a-1", "a-1"),
        ("x'", "x'"),
        ("a:b", "\"a:b\""),
        ("a: b", "(a: b)"),
        ("http://x.y/z?q=1", "\"http://x.y/z?q=1\""),
        ("a/b", "/f/a/b"),
        ("a /b", "(a /b)"),
        ("a / b", "(__div a b)"),
        ("a//b", "(a // b)"),
        ("<a/b>", "(__findFile __nixPath \"a/b\")"),
        ("a<b", "(__lessThan a b)"),
        ("../x/./y/..", "/x"),
        ("~/x", "/h/x"),
        ("./a/${x}/b-${y}", "(/f/a/ + x + \"/b-\" + y)"),
        ("/a/", "2: path has a trailing slash"),
        ("./a${x}/", "7: path has a trailing slash"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "0: invalid integer '9223372036854775808'"),
        ("[ -1 ]", "2: syntax error, unexpected '-', expecting ']'"),
        ("1 /* 2 */ # 3", "1"),
        ("/* 1", "0: this comment does not end: `*/`"),
        ("%", "0: syntax error, unexpected invalid token \"%\""),
        ("", "0: syntax error, unexpected end of file"),
    ]);
}

#[test]
fn strings_say_what_they_should() {
    all(&[
        (r#""a${toString 1}b\n""#, r#"("a" + (toString 1) + "b\n")"#),
        (r#""${a}""#, "(a)"),
        (r#""$${a} \${b} $""#, r#""$\${a} \${b} $""#),
        ("\"a\r\nb\rc\"", r#""a\nb\nc""#),
        ("''\n  hi ${x}\n    there\n''", r#"("hi " + x + "\n  there\n")"#),
        ("''  a''", r#""a""#),
        (
            "''\n   x ''${y} ''' ''\\n $$${x}\n  ''",
            "(\"x \" + \"$\" + \"{y} \" + \"''\" + \" \" + \"\\n\" + \"$$\" + x + \"\\n\")",
        ),
        ("''\n    a\n\n\tb\n  ''", "\"    a\\n\\n\\tb\\n\""),
        ("''''", "\"\""),
        ("\"a", "0: this string does not end"),
        ("''a", "0: this string does not end"),
        ("\"${\"", "3: this string does not end"),
        ("\"a\0\"", "2: input string contains a NUL byte"),
    ]);
    let (tree, root) = parse(b"\"\xff\"", &context()).expect("a string holds any byte");
    assert_eq!(print(&tree, root), b"\"\xff\"");
}

#[test]
fn sets_are_merged_where_they_are_written() {
    all(&[
        ("{ a.b = 1; a.c = 2; a = { d = 3; }; }", "{ a = { b = 1; c = 2; d = 3; }; }"),
        ("{ a = rec { x = 1; }; a.y = x; }", "{ a = rec { x = 1; y = x; }; }"),
        ("{ a.x = 1; a = rec { y = x; }; }", "{ a = { x = 1; y = x; }; }"),
        ("{ a = 1; a = 2; }", "9: attribute 'a' already defined at x.nix:1:3"),
        ("{ a = 1; a.b = 2; }", "9: attribute 'a' already defined at x.nix:1:3"),
        ("{ a.b = 1; a = { b = 2; }; }", "17: attribute 'b' already defined at x.nix:1:3"),
        ("{ inherit a; a = 1; }", "13: attribute 'a' already defined at x.nix:1:11"),
        ("{ ${\"a\"}.\"b c\" = 1; \"${d}\" = 2; }", "{ a = { \"b c\" = 1; }; \"${(d)}\" = 2; }"),
        (
            "{ z = 1; inherit b a; inherit (x) d c; inherit (y) e; }",
            "{ inherit a b; inherit (x) c d; inherit (y) e; z = 1; }",
        ),
        ("{ inherit \"a\" ${\"b\"}; }", "{ inherit a b; }"),
        ("{ inherit ${a}; }", "10: dynamic attributes not allowed in inherit"),
        ("let ${a} = 1; in 2", "6: dynamic attributes not allowed in let"),
        ("let { body = 1; }", "(rec { body = 1; }).body"),
        ("x.${a}.\"b c\".or", "(x).\"${a}\".\"b c\".or"),
        ("{ a = 1 }", "8: syntax error, unexpected '}', expecting ';'"),
        ("let a = 1;", "10: syntax error, unexpected end of file, expecting 'in'"),
    ]);
}

#[test]
fn functions_take_their_arguments_apart() {
    all(&[
        ("{ b, a ? 1, ... }@c: a", "({ a ? 1, b, ... } @ c: a)"),
        ("c@{ }: c", "({  } @ c: c)"),
        ("{ ... }: 1", "({ ... }: 1)"),
        ("{ a, }: a", "({ a }: a)"),
        ("{ a }: a", "({ a }: a)"),
        ("{ }", "{ }"),
        ("x: y: x", "(x: (y: x))"),
        ("{ a, a }: 1", "5: duplicate formal function argument 'a'"),
        ("a@{ a }: 1", "4: duplicate formal function argument 'a'"),
        ("if a then b else c: d", "(if a then b else (c: d))"),
        ("with a; assert b; c", "(with a; assert b; c)"),
        ("[ (x: x) { } rec { } a.b ]", "[ ((x: x)) ({ }) (rec { }) ((a).b) ]"),
        ("__curPos.line", "(__curPos).line"),
    ]);
}

fn unbound(source: &str) -> String {
    let (tree, root) = parse(source.as_bytes(), &context()).unwrap_or_else(|problem| panic!("{source}: {problem:?}"));
    check(&tree, root).err().map_or_else(String::new, |problem| format!("{}: {}", problem.at, problem.message))
}

#[test]
fn variables_are_bound() {
    let fine = [
        "let a = b; b = 1; in a",
        "rec { a = b; b = 1; }",
        "x: { y ? x, z ? y, ... }@w: [ x y z w ]",
        "with { }; anything",
        "with { }; { inherit anything; }",
        "let a = 1; in { inherit a; b = a; }",
        "let inherit (a) b; a = { b = 1; }; in b",
        "builtins.map toString [ true false null ] ++ [ <a> (1 - 2) (1 < 2) (2 * 3) (__add 1 2) ]",
        "rec { \"${a}\" = a; a = \"x\"; }",
        "let { body = x; x = 1; }",
        "{ a = 1; }.a",
        "let or = 1; in f: f or [ ]",
    ];
    for source in fine {
        assert_eq!(unbound(source), "", "{source}");
    }
    let wrong = [
        ("{ a = b; b = 1; }", "6: undefined variable 'b'"),
        ("with c; 1", "5: undefined variable 'c'"),
        ("let a = 1; in { inherit b; }", "24: undefined variable 'b'"),
        ("let inherit a; in a", "12: undefined variable 'a'"),
        ("(x: x) x", "7: undefined variable 'x'"),
        ("if true then 1 else dead", "20: undefined variable 'dead'"),
        ("{ a, b ? c }: 1", "9: undefined variable 'c'"),
        ("(with { }; a) b", "14: undefined variable 'b'"),
        ("x: \"${y}\"", "6: undefined variable 'y'"),
        ("attrNames { }", "0: undefined variable 'attrNames'"),
    ];
    for (source, problem) in wrong {
        assert_eq!(unbound(source), problem, "{source}");
    }
}

/// Long chains cost what they are long: each of these would take minutes and gigabytes if it cost the square.
#[test]
fn sources_may_be_long() {
    let n = 200_000;
    let sources = [
        format!("{}f{}", "(".repeat(n), " a)".repeat(n)),
        format!("f{}", " |> f".repeat(n)),
        format!("{{ {} }}", (0..n).map(|at| format!("inherit (x) a{at}; ")).collect::<String>()),
        format!("a{}: x", ".a".repeat(n)),
        format!("a{} /b", ".a".repeat(n)),
        format!("{}1", "-".repeat(n)),
        format!("{{ {} }}: 1", (0..n).map(|at| format!("a{at}, ")).collect::<String>()),
        format!("{{ {} }}", (0..n).map(|at| format!("a.b{at} = 1; a = {{ c{at} = 1; }}; ")).collect::<String>()),
    ];
    for source in sources {
        if let Ok((tree, root)) = parse(source.as_bytes(), &context()) {
            assert!(print(&tree, root).len() > n);
        }
    }
}

/// Depth costs memory, not the native stack.
#[test]
fn sources_may_be_deep() {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let cases =
        [("(", ")"), ("[", "]"), ("{ a = ", "; }"), ("\"${", "}\""), ("x: ", ""), ("if 1 then 2 else ", ""), ("!", "")];
    for (open, close) in cases {
        let source = deep(open, close);
        let (tree, root) = parse(source.as_bytes(), &context()).unwrap_or_else(|problem| panic!("{open}: {problem:?}"));
        assert!(print(&tree, root).contains(&b'1'));
        assert_eq!(check(&tree, root), Ok(()));
    }
    assert!(shown("(".repeat(100_000).as_bytes()).starts_with("100000: syntax error, unexpected end of file"));
}
