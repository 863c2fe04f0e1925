//! Every program of `docs/passerine.md` does what it says, and that of `README.md` is the file it names.

use std::path::Path;
use std::process::Command;

/// A program of a document: its line, its text, the file it is (if it is one for others to use).
struct Example {
    line: usize,
    text: String,
    file: Option<String>,
}

fn examples(text: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("```pn").filter(|_| !open) {
            let file = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
            found.push(Example { line: at + 1, text: String::new(), file });
            open = true;
        } else if line == "```" {
            open = false;
        } else if open && let Some(example) = found.last_mut() {
            example.text.push_str(line);
            example.text.push('\n');
        }
    }
    found
}

/// What is wrong with a run.
fn problem(folder: &Path, example: &Example) -> Option<String> {
    let path = folder.join("example.pn");
    std::fs::write(&path, &example.text).expect("the example can be written");
    let program = path.display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_qualm"))
        .args(["run", "--value", "--workers", "1", &program])
        .output()
        .expect("the program starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let marked = |mark: &str| -> Vec<&str> {
        example
            .text
            .lines()
            .filter_map(|line| line.strip_prefix(mark))
            .map(|rest| rest.trim_start_matches(' '))
            .collect()
    };
    let (mut lines, value): (Vec<&str>, Vec<&str>) = stdout.lines().partition(|line| !line.starts_with("= "));
    // An example that promises nothing has a mistake in it.
    let (written, values, errors) = (marked("#>"), marked("#="), marked("#!"));
    if written.is_empty() && values.is_empty() && errors.is_empty() {
        return Some("it promises nothing".into());
    }
    if lines.last() == Some(&"") && written.last() != Some(&"") {
        lines.pop();
    }
    if lines != written {
        return Some(format!("it wrote\n{stdout}\n{stderr}"));
    }
    if let [expected] = values[..]
        && value.last().is_none_or(|value| value[2..] != *expected)
    {
        return Some(format!("its value is {value:?}"));
    }
    match errors[..] {
        [] if !output.status.success() => Some(format!("it failed\n{stderr}")),
        [expected] if !stderr.contains(expected) => Some(format!("it ended with\n{stderr}")),
        _ => None,
    }
}

#[test]
fn the_manual_is_right() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manual");
    std::fs::create_dir_all(&folder).expect("the test folder can be made");
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/passerine.md");
    let text = std::fs::read_to_string(manual).expect("the manual is there");
    let mut wrong = Vec::new();
    let mut count = 0;
    for example in examples(&text) {
        match &example.file {
            Some(name) => std::fs::write(folder.join(name), &example.text).expect("the module can be written"),
            None => {
                count += 1;
                wrong.extend(problem(&folder, &example).map(|problem| format!("line {}: {problem}", example.line)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 25, "the programs were found");
}

#[test]
fn the_readme_shows_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("a file of the repository");
    assert!(read("README.md").contains(&read("examples/hello.pn")), "README.md shows examples/hello.pn");
    let program = root.join("examples/hello.pn").display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_qualm")).args(["run", &program]).output().expect("it starts");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(shown, "factorials: [120, 3628800, 2432902008176640000]\ntoo large: Overflow \"integer overflow\"\n");
}
