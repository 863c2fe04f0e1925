//! The promises of the command line: streams, exit status, hostile input, formats that go round.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn qualm(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qualm")).args(args).output().expect("the program starts")
}

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&path).expect("the test folder can be made");
    path
}

fn file(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the test file can be written");
    path.display().to_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn exit_status_and_streams() {
    let folder = folder("status");
    let good = file(&folder, "good.pn", "println 1\n2");
    let output = qualm(&["run", &good, "--value"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "1\n= 2\n".into()));
    assert!(output.stderr.is_empty());

    let raises = file(&folder, "raises.pn", "f = x -> 1 + x\nf ()");
    let output = qualm(&["run", &raises]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
    assert!(
        text(&output.stderr).contains("raises.pn:1:10")
            && text(&output.stderr).contains("Type error: cannot add Integer and Unit")
    );

    let wrong = file(&folder, "wrong.pn", "println lenght [1]");
    let output = qualm(&["run", &wrong]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("wrong.pn:1:9"), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("`lenght` is not bound here"), "{}", text(&output.stderr));

    let denied = file(&folder, "denied.pn", "write_file \"x\" \"y\"");
    assert_eq!(qualm(&["run", &denied]).status.code(), Some(3));
    assert_eq!(qualm(&["run"]).status.code(), Some(64));
    assert_eq!(qualm(&["run", &good, "--allow", "flying"]).status.code(), Some(64));
    assert_eq!(qualm(&["run", "no such file"]).status.code(), Some(2));
    assert_eq!(qualm(&["--help"]).status.code(), Some(0));
}

#[test]
fn formats_go_round() {
    let folder = folder("formats");
    let source = file(&folder, "p.pn", "fact = n -> if n < 2 { 1 } else { n * fact (n - 1) }\nfact 20");
    let expected = "= 2432902008176640000\n";
    assert_eq!(text(&qualm(&["run", "--value", &source]).stdout), expected);

    assert!(qualm(&["asm", &source]).status.success());
    let binary = folder.join("p.qb").display().to_string();
    assert_eq!(text(&qualm(&["run", "--value", &binary]).stdout), expected);
    assert!(qualm(&["verify", &binary]).status.success());

    let printed = qualm(&["dis", &binary]).stdout;
    let assembly = file(&folder, "p.qualm", &printed);
    assert_eq!(text(&qualm(&["run", "--value", &assembly]).stdout), expected);
    assert_eq!(qualm(&["dis", &assembly]).stdout, printed, "printing is stable");

    let hashes = |path: &str| {
        let all = text(&qualm(&["hash", path]).stdout);
        all.lines().map(|line| line.split(' ').next().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(hashes(&source), hashes(&assembly));
    assert_eq!(hashes(&source), hashes(&binary));
}

#[test]
fn names_and_comments_are_not_hashed_and_constants_are() {
    let folder = folder("hashes");
    let hashes = |name: &str, source: &str| {
        let path = file(&folder, name, source);
        let output = qualm(&["hash", &path]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(|line| line.split(' ').next().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    let base = "is_even = n -> if n == 0 { true } else { is_odd (n - 1) }\nis_odd = n -> if n == 0 { false } else { is_even (n - 1) }\nten = x -> x + 10\n(is_even 4, ten 1)";
    let renamed = "# other names\na = b -> if b == 0 { true } else { c (b - 1) }\nc = d -> if d == 0 { false } else { a (d - 1) } -- and\n\nz = y -> y + 10\n(a 4, z 1)";
    let first = hashes("a.pn", base);
    assert_eq!(first, hashes("b.pn", renamed));

    // Another constant changes the function that has it and the one that calls it, and nothing else.
    let changed = hashes("c.pn", &base.replace("+ 10", "+ 11"));
    let differing = first.iter().filter(|hash| !changed.contains(hash)).count();
    assert_eq!((differing, first.len()), (2, changed.len()), "{first:?} {changed:?}");
}

#[test]
fn hostile_files_are_refused() {
    let folder = folder("hostile");
    let mut seed = 7_u64;
    let noise: Vec<u8> = (0..1 << 20)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        })
        .collect();
    let deep = "(".repeat(100_000);
    let mut after_magic = qualm_ir::binary::MAGIC.to_vec();
    after_magic.extend_from_slice(&noise);
    for (name, bytes) in [
        ("noise.pn", noise.clone()),
        ("noise.qualm", noise.clone()),
        ("noise.qb", noise),
        ("magic.qb", after_magic),
        ("deep.pn", deep.clone().into_bytes()),
        ("deep_closed.pn", format!("{deep}1{}", ")".repeat(100_000)).into_bytes()),
        ("chain.pn", format!("x = 1\n{}x", "x + ".repeat(100_000)).into_bytes()),
        ("empty.qb", Vec::new()),
        ("empty.qualm", b"fn".to_vec()),
    ] {
        let path = file(&folder, name, bytes);
        for command in ["run", "asm", "dis", "verify", "hash", "check"] {
            let output = qualm(&[command, &path]);
            assert_eq!(output.status.code(), Some(2), "{command} {name}: {}", text(&output.stderr));
            assert!(
                !output.stderr.is_empty() && output.stderr.len() < 10_000,
                "{command} {name} says what is wrong, briefly"
            );
        }
    }
}

#[test]
fn updates_in_a_loop_are_in_place_and_aliases_are_kept() {
    let folder = folder("in_place");
    let alone = file(
        &folder,
        "alone.pn",
        "xs = List.repeat 1000 0\ni = 0\nwhile i < 5000 { xs = List.set (i % 1000) i xs; i = i + 1 }\nsum xs",
    );
    let output = qualm(&["run", "--value", "--stats", &alone]);
    let stat = |output: &Output, name: &str| {
        let line = text(&output.stderr).lines().find(|line| line.starts_with(name)).unwrap_or("").to_owned();
        line.split_whitespace().last().and_then(|number| number.parse::<u64>().ok()).expect("the figure is there")
    };
    assert!(
        stat(&output, "updates in place") >= 5000 && stat(&output, "words copied") < 1000,
        "{}",
        text(&output.stderr)
    );

    // With an alias the first update copies, and the alias sees nothing.
    let aliased = file(
        &folder,
        "aliased.pn",
        "xs = List.repeat 1000 0\nold = xs\ni = 0\nwhile i < 5000 { xs = List.set (i % 1000) i xs; i = i + 1 }\n(sum old, sum xs)",
    );
    let output = qualm(&["run", "--value", "--stats", &aliased]);
    assert_eq!(text(&output.stdout), "= (0, 4499500)\n");
    assert!((1000..3000).contains(&stat(&output, "words copied")), "{}", text(&output.stderr));
}

#[test]
fn depth_costs_no_native_stack() {
    let folder = folder("depth");
    let deep = file(
        &folder,
        "deep.pn",
        "count = n -> if n == 0 { 0 } else { 1 + count (n - 1) }\nnest = n v -> if n == 0 { v } else { nest (n - 1) (Box v) }\na = nest 300000 1\nb = nest 300000 1\n(count 300000, a == b, compare a b, len (show a))",
    );
    let run = format!("ulimit -s 256; exec {} run --value {deep}", env!("CARGO_BIN_EXE_qualm"));
    let output = Command::new("bash").args(["-c", &run]).output().expect("bash starts");
    let expected = format!("= (300000, true, Equal, {})\n", "Box (".len() * 299_999 + "Box 1".len() + 299_999);
    assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
}

#[test]
fn a_new_project_runs() {
    let folder = folder("project");
    let project = folder.join("birds");
    let _ = std::fs::remove_dir_all(&project);
    let aspen = |args: &[&str], at: &Path| {
        Command::new(env!("CARGO_BIN_EXE_aspen")).args(args).current_dir(at).output().expect("the program starts")
    };
    assert!(aspen(&["new", "birds"], &folder).status.success());
    assert!(!aspen(&["new", "birds"], &folder).status.success(), "an existing folder is left alone");
    let output = aspen(&["run"], &project);
    assert_eq!(text(&output.stdout), "Hello, world!\n", "{}", text(&output.stderr));
    let output = aspen(&["run"], &project.join("src"));
    assert_eq!(text(&output.stdout), "Hello, world!\n", "{}", text(&output.stderr));
}

#[test]
fn parallel_results_do_not_depend_on_the_number_of_workers() {
    let folder = folder("parallel");
    let source = file(
        &folder,
        "group.pn",
        "work = n -> { i = 0; s = 0; while i < 1000 * n { s = s + i; i = i + 1 }; s }\nparallel (map (n -> () -> work n) (1..=20))",
    );
    let one = qualm(&["run", "--value", "--workers", "1", &source]).stdout;
    assert!(text(&one).starts_with("= [499500, "));
    assert_eq!(qualm(&["run", "--value", "--workers", "4", &source]).stdout, one);
}

fn aspen(args: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aspen")).args(args).current_dir(folder).output().expect("the program starts")
}

/// The standard modules are a package with tests of its own.
#[test]
fn standard_modules_pass_their_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../passerine/std");
    let output = aspen(&["test"], &folder);
    assert!(output.status.success(), "{}", text(&output.stdout));
    let files = std::fs::read_dir(folder.join("src")).expect("the modules are there").count();
    let tested = text(&output.stdout).lines().filter(|line| line.ends_with("_test.pn")).count();
    assert_eq!(files, tested, "every module has a file of tests");
}

#[test]
fn examples_pass_their_checks_and_tests() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["birds", "query"] {
        let output = aspen(&["check"], &examples.join(name));
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    }
    let output = aspen(&["test"], &examples.join("query"));
    assert!(output.status.success(), "{}", text(&output.stdout));
    let query = "SELECT name FROM birds WHERE grams > (SELECT AVG(grams) FROM birds)";
    let output = aspen(&["run", "--allow", "read_file", "--", "--format", "csv", query], &examples.join("query"));
    assert_eq!(text(&output.stdout), "name\n\"Goose, greylag\"\n");
}

#[test]
fn standard_modules_have_no_type_problems() {
    for entry in
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../passerine/std/src")).expect("a folder")
    {
        let path = entry.expect("an entry").path().display().to_string();
        let output = qualm(&["check", &path]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn tests_are_found_and_differences_shown() {
    let folder = folder("testing");
    let _ = std::fs::remove_dir_all(folder.join("sums"));
    assert!(aspen(&["new", "sums"], &folder).status.success());
    let project = folder.join("sums");
    assert!(aspen(&["test"], &project).status.success());
    file(
        &project,
        "tests/more_test.pn",
        "use testing\ntest_sum = () -> { println 7; testing::equal 4 (2 + 3) }\ntest_good = () -> ()\n",
    );
    file(&project, "tests/wrong_test.pn", "x = (");
    let output = aspen(&["test"], &project);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "FAILED sum",
        "In tests/more_test.pn:2:31",
        "expected 4",
        "   found 5",
        "it wrote:",
        "ok good",
        "does not compile",
        "2 passed, 1 failed, 1 did not compile",
    ] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
    assert!(!shown.contains("\x1b["), "no colours in a pipe");
    assert_eq!(
        text(&aspen(&["test", "--list", "greets"], &project).stdout),
        "tests/greeting_test.pn test_greets_by_name\n"
    );
}

#[test]
fn capabilities_are_asked_for_and_granted() {
    let folder = folder("capabilities");
    let _ = std::fs::remove_dir_all(folder.join("reader"));
    assert!(aspen(&["new", "reader"], &folder).status.success());
    let project = folder.join("reader");
    file(&project, "src/main.pn", "println (Result.is_ok (read_file \"aspen.toml\"))");
    assert_eq!(aspen(&["run"], &project).status.code(), Some(3), "what was not asked for is denied");
    file(&project, "aspen.toml", "[package]\nname = \"reader\"\nallow = [\"read_file\"]\n");
    let refused = aspen(&["run"], &project);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused.stderr).contains("aspen run --allow read_file"), "{}", text(&refused.stderr));
    assert_eq!(text(&aspen(&["run", "--allow", "read_file"], &project).stdout), "true\n");
}

#[test]
fn packages_by_path_and_by_content() {
    let folder = folder("packages");
    for name in ["song", "app"] {
        let _ = std::fs::remove_dir_all(folder.join(name));
        assert!(aspen(&["new", name], &folder).status.success());
    }
    file(&folder, "song/src/lib.pn", "use notes\nsing = () -> \"{notes::first} la\"\n");
    file(&folder, "song/src/notes.pn", "first = \"do\"\n");
    let app = folder.join("app");
    file(&app, "src/main.pn", "use song\nuse song::notes\nprintln (song::sing ())\nprintln notes::first\n");
    assert_eq!(aspen(&["run"], &app).status.code(), Some(2));
    assert!(aspen(&["add", "../song"], &app).status.success());
    assert_eq!(text(&aspen(&["run"], &app).stdout), "do la\ndo\n");
    assert!(!aspen(&["add", "../song"], &app).status.success(), "a name is taken once");

    // Packages that know each other are no circle of modules, and a package reached in two ways is one.
    file(&folder, "song/aspen.toml", "[package]\nname = \"song\"\n[dependencies]\napp = { path = \"../app\" }\n");
    assert_eq!(text(&aspen(&["run"], &app).stdout), "do la\ndo\n");
    file(&folder, "song/aspen.toml", "[package]\nname = \"song\"\n");

    let before = std::fs::read_to_string(app.join("aspen.toml")).expect("it is there");
    assert!(!aspen(&["add", "../song", "--name", "Bad Name"], &app).status.success());
    assert_eq!(
        std::fs::read_to_string(app.join("aspen.toml")).expect("it is there"),
        before,
        "nothing wrong is written"
    );

    let pinned = |args: &[&str]| {
        let home = folder.join("home");
        Command::new(env!("CARGO_BIN_EXE_aspen"))
            .args(args)
            .current_dir(&app)
            .env("ASPEN_HOME", home)
            .output()
            .expect("the program starts")
    };
    file(&app, "aspen.toml", "[package]\nname = \"app\"\n");
    assert!(pinned(&["add", "--pin", "../song"]).status.success());
    file(&folder, "song/src/notes.pn", "first = \"re\"\n");
    assert_eq!(text(&pinned(&["run"]).stdout), "do la\ndo\n", "a pinned package does not change");
    let manifest = std::fs::read_to_string(app.join("aspen.toml")).expect("it is there");
    let hash = manifest.split('"').find(|part| part.len() == 64).expect("a hash").to_owned();
    let kept = folder.join("home/packages").join(hash).join("src/notes.pn");
    std::fs::write(kept, "first = \"mi\"\n").expect("the store can be written");
    let output = pinned(&["run"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("was changed in the package store"), "{}", text(&output.stderr));
}

#[test]
fn builds_documents_and_explains() {
    let folder = folder("tools");
    let _ = std::fs::remove_dir_all(folder.join("birds"));
    assert!(aspen(&["new", "birds"], &folder).status.success());
    let project = folder.join("birds");
    assert!(aspen(&["build"], &project).status.success());
    let module = project.join("build/birds.qb").display().to_string();
    assert_eq!(text(&qualm(&["run", &module]).stdout), "Hello, world!\n");
    assert!(aspen(&["doc"], &project).status.success());
    let page = std::fs::read_to_string(project.join("build/doc/module.greeting.html")).expect("a page");
    assert!(page.contains("What to say to someone.") && page.contains("a -&gt; String"), "{page}");
    assert!(project.join("build/doc/std.json.html").is_file());
    assert!(text(&aspen(&["explain", "p0050"], &project).stdout).contains("not bound"));
    assert_eq!(aspen(&["explain", "P9999"], &project).status.code(), Some(64));
    assert_eq!(text(&aspen(&["run", "src/main.pn"], &project).stdout), "Hello, world!\n");
}

/// What the REPL prints for inputs from a pipe.
fn repl(input: impl AsRef<[u8]>) -> (String, String) {
    use std::io::Write;
    let mut child = Command::new(env!("CARGO_BIN_EXE_aspen"))
        .arg("repl")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the REPL starts");
    child.stdin.take().expect("a pipe").write_all(input.as_ref()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_repl_remembers() {
    let input = "x = 3\nf = n -> n * x\nf 4\nx = 10\nf 4\ncount = 0\nbump = () -> { count = count + 1; count }\nbump (); bump ()\ncount\n\
        fib = n -> if n < 2 { n } else {\n  fib (n - 1) + fib (n - 2)\n}\nfib 15\ntype Light = Red | Green\n\
        go = l -> match l { Red -> \"stop\", Green -> \"go\" }\ngo Green\nsyntax a 'plus b { a + b }\n1 plus 2\neffect Ask\n\
        handle { Ask () + 1 } with { (Ask _, k) -> k 41 }\nuse json\njson::text [1, 2]\ng = fiber { yield 1; yield 2 }\ng ()\ng ()\n\
        (a, [b, ..c]) = (1, [2, 3])\nc\nawait (spawn (() -> bump ()))\ncount\n1 +\n2\nk = [() -> x]\nx = 5\n(k::0) ()\n:type f\n";
    let (out, err) = repl("# a comment\n1 + 1\n\n2 + 2\nprintln 3\nx = 4\nx\n");
    assert_eq!((out.as_str(), err.as_str()), ("= 2\n= 4\n3\n= 3\n= 4\n", ""));
    let (out, err) = repl(b"1\n\xff\xfe\n2\n");
    assert_eq!((out.as_str(), err.as_str()), ("= 1\n= 2\n", "a line that is not UTF-8 is left out\n"));
    let (out, err) = repl("x = 1\nf = fiber { (1, [2]) }\nswitch f\nx\n");
    assert_eq!((out.as_str(), err.as_str()), ("= (1, [2])\n= 1\n", ""));
    let (out, err) = repl(input);
    let expected = "= 12\n= 40\n= 2\n= 2\n= 610\n= \"go\"\n= 3\n= 42\n= \"[1,2]\"\n= 1\n= 2\n= [3]\n= 3\n= 2\n= 3\n= 5\na -> b | a * Integer = b\n";
    assert_eq!((out.as_str(), err.as_str()), (expected, ""));
}

#[test]
fn the_repl_survives_mistakes() {
    let input = "x = 1\nx = 2; 1 / 0\nx\nnope\n:fly\n:type\n(]\nf = n -> n + 1\nf \"a\"\nf 1\n:hash f\n:doc map\n:time 1 + 1\n:asm f\n:reset\nx\n";
    let (out, err) = repl(input);
    for part in ["= 1\n", "= 2\n", "  f\n", "What a function makes of each item", "function entries", "val.add"] {
        assert!(out.contains(part), "no {part} in\n{out}");
    }
    for part in [
        "division by zero",
        "`nope` is not bound here",
        "no command :fly",
        "usage: :type EXPR",
        "`(` closed by `]`",
        "Warning: cannot add String and Integer",
        "In input 7:1:1",
        "`x` is not bound here",
    ] {
        assert!(err.contains(part), "no {part} in\n{err}");
    }
}

/// Every program of the corpus, typed into the REPL: the REPL goes on to the end whatever they do.
#[test]
fn the_repl_survives_the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/passerine");
    for path in qualm_check::golden::files(&folder, "pn") {
        let program = std::fs::read_to_string(&path).expect("a program");
        if program.contains("stress: no") {
            continue;
        }
        let (out, err) = repl(format!("{program}\n:reset\n\"the end\"\n"));
        // A program that leaves a string or bracket open takes what follows into it.
        let open = err.contains("is never closed");
        assert!(out.ends_with("= \"the end\"\n") || open, "{}\n{out}\n{err}", path.display());
        assert!(!err.contains("panicked") && !err.contains("VerifyError"), "{}\n{err}", path.display());
    }
}
