//! A node as its users see it: programs of several clients, fibers that are looked at and steered, a restart that nobody notices.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

struct Node {
    folder: PathBuf,
    child: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder(name: &str) -> PathBuf {
    // Paths of sockets are short.
    let path = std::env::temp_dir().join(format!("qualm-test-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the test folder can be made");
    path
}

fn start(folder: &Path) -> Node {
    start_with(folder, &[])
}

fn start_with(folder: &Path, args: &[&str]) -> Node {
    let _ = std::fs::remove_file(folder.join("node.sock"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.args(["node", "start", "--store"]).arg(folder).args(args).stderr(Stdio::null());
    let child = command.spawn().expect("it starts");
    let node = Node { folder: folder.to_path_buf(), child };
    let began = Instant::now();
    while UnixStream::connect(folder.join("node.sock")).is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "the node listens");
        std::thread::sleep(Duration::from_millis(5));
    }
    node
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Node {
    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
        command.args(args).env("QUALM_STORE", &self.folder).output().expect("it starts")
    }

    fn said(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn program(&self, name: &str, source: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, source).expect("the program can be written");
        path.display().to_string()
    }

    fn socket(&self) -> String {
        self.folder.join("node.sock").display().to_string()
    }

    fn log(&self, number: u64) -> String {
        std::fs::read_to_string(self.folder.join(format!("logs/{number}.log"))).unwrap_or_default()
    }

    /// Waits until a list of fibers is as it should be.
    fn until(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let listed = self.said(&["fibers", "ls"]);
            if holds(&listed) {
                return listed;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{what}:\n{listed}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn stop(mut self) {
        self.said(&["node", "stop"]);
        self.child.wait().expect("it ends");
    }
}

/// Says a line, then waits for a message that never comes.
const WAITING: &str = "println \"begun\"\nSystem.receive_within 1000000\nprintln \"over\"\n";

#[test]
fn programs_of_clients_run_to_their_end() {
    let node = start(&folder("run"));
    let good = node.program("good.pn", "println \"hello\"\n6 * 7");
    let bad = node.program("bad.pn", "f = x -> x + ()\nf 1");
    let output = node.run(&["run", "--value", "--node", &node.socket(), &good]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "hello\n= 42\n".into()));
    let output = node.run(&["run", "--node", &node.socket(), &bad]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("bad.pn:1:10"), "{}", text(&output.stderr));
    let endless = node.program("endless.pn", "f = () -> f ()\nf ()");
    let output = node.run(&["run", "--fuel", "100000", "--node", &node.socket(), &endless]);
    assert_eq!(output.status.code(), Some(3));
    let denied = node.program("denied.pn", "read_file \"/etc/passwd\"");
    assert_eq!(node.run(&["run", "--node", &node.socket(), &denied]).status.code(), Some(3));
    node.stop();
}

#[test]
fn fibers_are_looked_at_and_steered() {
    let node = start(&folder("steer"));
    let source = "worker = () -> { receive (); 1 }
p = spawn worker
count = n -> { sleep 1; count (n + 1) }
count 0";
    let path = node.program("steer.pn", source);
    assert_eq!(node.said(&["run", "--detach", "--node", &node.socket(), &path]), "program 1\n");
    let listed =
        node.until("two fibers", |listed| listed.lines().count() == 3 && listed.contains("waits for a message"));
    assert!(listed.contains("1/0.0.0\tsteer\t") && listed.contains("count ("), "{listed}");
    let shown = node.said(&["fibers", "trace", "1"]);
    assert!(shown.contains("steer.pn:3") && shown.contains("sleep 1"), "{shown}");
    node.said(&["fibers", "suspend", "1"]);
    let entries = || {
        let listed = node.said(&["fibers", "ls"]);
        listed.lines().nth(1).and_then(|line| line.split('\t').nth(5)).map(str::to_owned)
    };
    std::thread::sleep(Duration::from_millis(30));
    let before = entries();
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(entries(), before);
    node.said(&["fibers", "resume", "1"]);
    node.until("it goes on", |_| entries() != before);
    node.said(&["fibers", "kill", "1/0.1.0"]);
    node.until("one fiber", |listed| !listed.contains("waits for a message"));
    assert!(node.said(&["node", "metrics"]).contains("\nqualm_programs 1\n"));
    assert!(node.said(&["top", "--times", "1"]).contains("1/0.0.0"));
    node.said(&["fibers", "kill", "1"]);
    node.until("no program", |listed| listed.lines().count() == 1);
    assert_eq!(node.run(&["fibers", "kill", "1"]).status.code(), Some(2));
    assert_eq!(node.run(&["fibers", "kill", "nonsense"]).status.code(), Some(2));
    node.stop();
}

#[test]
fn a_restart_is_not_noticed() {
    let folder = folder("restart");
    let node = start(&folder);
    let source = "use processes
counter = spawn (() -> processes::serve 0 (n by -> (n + by, n + by)))
go = n -> { println \"{n} {processes::call counter 1}\"; sleep 20; if n < 40 { go (n + 1) } else { println \"done\" } }
go 1";
    let path = node.program("count.pn", source);
    node.said(&["run", "--detach", "--node", &node.socket(), &path]);
    let began = Instant::now();
    while node.log(1).lines().count() < 5 {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
    let hash = node.said(&["snapshot", "1"]);
    let first = node.log(1);
    node.stop();
    assert!(std::fs::read_to_string(folder.join("logs/1.log")).is_ok_and(|log| log.starts_with(&first)));
    let node = start(&folder);
    assert!(node.said(&["fibers", "ls"]).contains("1/0.0.0\tcount"), "it has the number it had");
    node.until("it ends", |listed| listed.lines().count() == 1);
    let expected: String = (1..=40).map(|n| format!("{n} {n}\n")).collect::<String>() + "done\n";
    assert_eq!(node.log(1), expected);
    // What was saved goes on from there too, as a program of its own.
    assert_eq!(node.said(&["restore", hash.trim()]), "program 2\n");
    node.until("it ends", |listed| listed.lines().count() == 1);
    assert!(expected.ends_with(&node.log(2)) && node.log(2).lines().count() > 20, "{}", node.log(2));
    assert_eq!(node.run(&["restore", "00"]).status.code(), Some(2));
    node.stop();
    let output = Command::new(env!("CARGO_BIN_EXE_qualm")).args(["store", "verify", "--store"]).arg(&folder).output();
    assert!(output.is_ok_and(|output| output.status.success()));
}

#[test]
fn a_killed_node_goes_on_with_what_was_saved() {
    let folder = folder("killed");
    let mut node = start(&folder);
    let path = node.program("waiting.pn", WAITING);
    node.said(&["run", "--detach", "--node", &node.socket(), &path]);
    node.until("it waits", |listed| listed.contains("waits for a message"));
    node.stop();
    // What was saved when it stopped is there however often it is killed.
    for _ in 0..2 {
        node = start(&folder);
        node.until("it waits", |listed| listed.contains("1/0.0.0\twaiting\twaits for a message"));
        drop(node);
    }
    node = start_with(&folder, &["--checkpoint", "1"]);
    let second = node.program("second.pn", "println \"second\"\nSystem.receive_within 1000000\n");
    assert_eq!(node.said(&["run", "--detach", "--node", &node.socket(), &second]), "program 2\n");
    std::thread::sleep(Duration::from_millis(2500));
    drop(node);
    node = start(&folder);
    node.until("both go on", |listed| listed.contains("1/0.0.0\twaiting") && listed.contains("2/0.0.0\tsecond"));
    assert_eq!(node.log(2), "second\n");
    for program in ["1", "2"] {
        node.said(&["fibers", "kill", program]);
    }
    node.until("no program", |listed| listed.lines().count() == 1);
    drop(node);
    node = start(&folder);
    assert_eq!(node.said(&["fibers", "ls"]).lines().count(), 1, "what ended does not come back");
    node.stop();
}

#[test]
fn who_has_no_token_is_refused() {
    let folder = folder("token");
    let node = start(&folder);
    let path = node.program("waiting.pn", WAITING);
    node.said(&["run", "--detach", "--node", &node.socket(), &path]);
    let other = folder.join("other");
    std::fs::create_dir_all(&other).expect("a folder");
    std::fs::write(other.join("node.token"), "0".repeat(64)).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    let output =
        command.args(["fibers", "ls", "--node", &node.socket(), "--store"]).arg(&other).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("refuses: the token"), "{}", text(&output.stderr));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.join("node.token")).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o077, 0, "only its owner reads the token");
    // Nobody is served without hello, and nonsense stops nobody.
    for nonsense in
        [&b"\x01\0\0\0\x02"[..], b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", b"\x05\0\0\0\0\x01\x00", b""]
    {
        let mut stream = UnixStream::connect(node.socket()).expect("it listens");
        stream.write_all(nonsense).expect("it can be written to");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 200 && !text(&answer).contains("waiting"), "{}", text(&answer));
    }
    assert!(node.said(&["fibers", "ls"]).contains("waiting"));
    node.stop();
}

/// A REPL at the node that is typed these lines.
fn typed(node: &Node, lines: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command
        .args(["repl", "--node", &node.socket()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut repl = command.spawn().expect("it starts");
    repl.stdin.as_mut().expect("it has input").write_all(lines.as_bytes()).expect("it reads");
    repl
}

#[test]
fn what_a_session_spawns_goes_on_between_its_inputs() {
    let folder = folder("session");
    let mut node = start(&folder);
    let repl = typed(
        &node,
        "use processes
counter = spawn (() -> processes::serve 0 (n by -> (n + by, n + by)))
processes::call counter 5
processes::call counter 5
later = spawn (() -> { receive (); println \"got it\"; receive () })
x = 1 / 0
error (Broken counter)
processes::link (spawn (() -> error Bad 2))
sleep 5
:send 0.2.0 [1, 2]
sleep 5
me = self ()
spawn (() -> send me (Hello 1))
receive ()
List.len [1, 2, 3]
:suspend 0.1.0
:detach
",
    );
    let output = repl.wait_with_output().expect("it ends");
    let expected = "= 5\n= 10\ngot it\n= Process\n= Hello 1\n= 3\n1/0.1.0 suspended\nprogram 1 goes on\n";
    assert_eq!(text(&output.stdout).replace("= Process\n", ""), expected.replace("= Process\n", ""));
    let problems = text(&output.stderr);
    assert!(problems.contains("DivideByZero error") && problems.contains("Uncaught error: Broken"), "{problems}");
    // What went on without its client survives a restart.
    let listed = node.said(&["fibers", "ls"]);
    assert!(listed.contains("1/0.0.0\trepl\twaits for an input") && listed.contains("suspended, waits"), "{listed}");
    node.stop();
    node = start(&folder);
    assert_eq!(node.said(&["fibers", "ls"]), listed);
    node.stop();
}

#[test]
fn an_input_is_interrupted_and_a_session_that_ends_takes_its_fibers_with_it() {
    let node = start(&folder("interrupt"));
    let mut repl = typed(&node, "forever = spawn (() -> loop { sleep 1 })\nn = 3\nprintln \"go\"; ()\n");
    // Only the loop can be what runs then.
    let mut go = [0; 3];
    repl.stdout.as_mut().expect("it has output").read_exact(&mut go).expect("it says so");
    node.until("it waits", |listed| listed.contains("1/0.0.0\trepl\twaits for an input"));
    repl.stdin.as_mut().expect("it has input").write_all(b"loop { n + 1 }\n").expect("it reads");
    node.until("it runs", |listed| {
        listed.contains("1/0.0.0\trepl\tready") || listed.contains("1/0.0.0\trepl\trunning")
    });
    let interrupted = Command::new("kill").args(["-INT", &repl.id().to_string()]).status();
    assert!(interrupted.is_ok_and(|status| status.success()));
    node.until("it is stopped", |listed| listed.contains("1/0.0.0\trepl\twaits for an input"));
    repl.stdin.as_mut().expect("it has input").write_all(b"n + 39\n").expect("it reads");
    let output = repl.wait_with_output().expect("it ends");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("= 42\n".into(), "stopped\n".into()));
    node.until("no program", |listed| listed.lines().count() == 1);
    node.stop();
}

#[test]
fn a_client_that_leaves_ends_its_program() {
    let node = start(&folder("leave"));
    let path = node.program("waiting.pn", WAITING);
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.args(["run", "--node", &node.socket(), &path]).env("QUALM_STORE", &node.folder);
    let mut client = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut begun = [0; 6];
    client.stdout.as_mut().expect("it has output").read_exact(&mut begun).expect("it begins");
    assert_eq!(&begun, b"begun\n");
    node.until("it runs", |listed| listed.contains("waiting"));
    client.kill().expect("it runs");
    client.wait().expect("it ends");
    node.until("its program ended", |listed| listed.lines().count() == 1);
    node.stop();
}
