//! What programs do to the world, and what they are kept from.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("world").join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the test folder can be made");
    path.canonicalize().expect("it is there")
}

/// The value of a program, or what went wrong.
fn value(folder: &Path, allow: &str, text: &str) -> String {
    let path = folder.join("program.pn");
    std::fs::write(&path, text).expect("the program can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    let output = command.args(["run", "--value", "--allow", allow]).arg(&path).output().expect("it starts");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    match stdout.lines().last().and_then(|line| line.strip_prefix("= ")) {
        Some(value) => value.to_owned(),
        None => format!("{stdout}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn files_go_round() {
    let folder = folder("files");
    let text = format!(
        "use files
dir = \"{}\"
files::make_dir (dir + \"/a/b\")
files::write (dir + \"/a/b/f\") \"one\"
files::append (dir + \"/a/b/f\") \"\\ntwo\"
(files::lines (dir + \"/a/b/f\"), files::list (dir + \"/a\"), files::info (dir + \"/a/b/f\"), files::remove (dir + \"/a/b\") |> Result.is_error,
 files::remove (dir + \"/a/b/f\"), files::remove (dir + \"/a/b\"), files::exists (dir + \"/a/b\"))",
        folder.display()
    );
    let expected = "(Ok [\"one\", \"two\"], Ok [\"b\"], Ok { is_dir: false, size: 7 }, true, Ok, Ok, false)";
    let own = format!("read_file={0},write_file={0}", folder.display());
    assert_eq!(value(&folder, &own, &text), expected);
    assert_eq!(value(&folder, "read_file,write_file", &text), expected);
}

#[test]
fn nothing_outside_a_granted_directory_is_reached() {
    let folder = folder("escape");
    let own = folder.join("own");
    std::fs::create_dir_all(own.join("sub")).expect("a folder");
    std::fs::write(folder.join("secret"), "secret").expect("a file");
    std::fs::write(own.join("fine"), "fine").expect("a file");
    let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, own.join(name)).expect("a link");
    link(&folder.join("secret"), "link");
    link(Path::new("../secret"), "relative");
    link(&folder, "up");
    link(Path::new("fine"), "good");
    link(Path::new("/"), "root");
    let allow = format!("read_file={0},write_file={0}", own.display());
    let read = |path: &str| value(&folder, &allow, &format!("read_file \"{path}\""));
    let own = own.display().to_string();
    assert_eq!(read(&format!("{own}/fine")), "Ok \"fine\"");
    assert_eq!(read(&format!("{own}/good")), "Ok \"fine\"");
    assert_eq!(read(&format!("{own}/sub/../fine")), "Ok \"fine\"");
    for path in [
        "/etc/passwd".to_owned(),
        format!("{own}/../secret"),
        format!("{own}/sub/../../secret"),
        format!("{own}/link"),
        format!("{own}/relative"),
        format!("{own}/up/secret"),
        format!("{own}/root/etc/passwd"),
        format!("{own}2/x"),
        String::new(),
        format!("{own}/fine\\0"),
    ] {
        let found = read(&path);
        assert!(found.starts_with("Error (") && !found.contains("\"secret\""), "{path}: {found}");
    }
    for path in [format!("{own}/link"), format!("{own}/up/new"), format!("{own}/../new")] {
        let found = value(&folder, &allow, &format!("write_file \"{path}\" \"gone\""));
        assert!(found.starts_with("Error ("), "{path}: {found}");
    }
    assert_eq!(std::fs::read_to_string(folder.join("secret")).expect("it is there"), "secret");
    // A child gets part of what its parent has, and no link leads it out of that part.
    std::os::unix::fs::symlink("../fine", Path::new(&own).join("sub/out")).expect("a link");
    let child = |grant: &str, path: &str| {
        let text = format!("try System.await (System.spawn_with [\"{grant}\"] (() -> read_file \"{path}\"))");
        value(&folder, &format!("{allow},spawn"), &text)
    };
    let sub = format!("read_file={own}/sub");
    std::fs::write(Path::new(&own).join("sub/inner"), "inner").expect("a file");
    assert_eq!(child(&sub, &format!("{own}/sub/inner")), "Ok (Ok \"inner\")");
    for path in [format!("{own}/fine"), format!("{own}/sub/out"), format!("{own}/sub/../fine")] {
        let found = child(&sub, &path);
        assert!(found.starts_with("Ok (Error ("), "{path}: {found}");
    }
    for grant in ["read_file=/", "read_file=/etc", "env", &format!("read_file={own}/..")] {
        let found = child(grant, "x");
        assert!(found.contains("Error (Denied"), "{grant}: {found}");
    }
}

#[test]
fn a_directory_that_becomes_a_link_leads_nowhere() {
    let folder = folder("race");
    let own = folder.join("own");
    std::fs::create_dir_all(&own).expect("a folder");
    std::fs::create_dir_all(folder.join("other")).expect("a folder");
    std::fs::write(folder.join("other/f"), "secret").expect("a file");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = std::fs::create_dir(own.join("d"));
                let _ = std::fs::write(own.join("d/f"), "fine");
                let _ = std::fs::remove_file(own.join("d/f"));
                let _ = std::fs::remove_dir(own.join("d"));
                let _ = std::os::unix::fs::symlink(folder.join("other"), own.join("d"));
                let _ = std::fs::remove_file(own.join("d"));
            }
        });
        let text = format!(
            "found = []
for i in 0..20000 {{ match read_file \"{}/d/f\" {{ Ok text -> {{ if text == \"secret\" {{ found = push i found }} }}; Error _ -> () }} }}
found",
            own.display()
        );
        let found = value(&folder, &format!("read_file={}", own.display()), &text);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(found, "[]");
    });
}

#[test]
fn only_granted_resources_are_reached() {
    let folder = folder("resources");
    let found = value(&folder, "env=HOME", "(Option.is_some (System.env \"HOME\"), try System.env \"PATH\")");
    assert_eq!(found, "(true, Error (Denied \"env=PATH\"))");
    let text = "(try System (TcpConnect \"127.0.0.1:9\"), try System (Http { url: \"http://other/x\" }), try System (TcpListen \"127.0.0.1:0\"))";
    let expected =
        "(Error (Denied \"connect=127.0.0.1:9\"), Error (Denied \"http=other\"), Error (Denied \"TcpListen\"))";
    assert_eq!(value(&folder, "connect=127.0.0.1:8,http=localhost", text), expected);
    let text = "map (h -> try System (TcpRead (h, 1))) [0, 1, -1, 12345678901234]";
    let found = value(&folder, "connect", text);
    assert_eq!(found.matches("Error (Failed").count(), 4, "{found}");
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server that prints its address first.
fn server(folder: &Path, text: &str) -> (Killed, String) {
    let path = folder.join("server.pn");
    std::fs::write(&path, text).expect("the program can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    let child = command.args(["run", "--allow", "listen,spawn"]).arg(&path).stdout(Stdio::piped()).spawn();
    let mut child = Killed(child.expect("it starts"));
    let mut address = String::new();
    let stdout = child.0.stdout.take().expect("it has output");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut address).expect("it says where");
    (child, address.trim().to_owned())
}

#[test]
fn http_is_served_and_asked_for() {
    let folder = folder("http");
    let (_server, address) = server(
        &folder,
        "use http
server = unwrap (http::listen \"127.0.0.1:0\")
println (unwrap (http::address server))
http::serve server (asked -> match asked.url {
    \"/fail\" -> error Broken 1
    \"/echo\" -> { status: 201, headers: [(\"x-method\", asked.method)], body: asked.body }
    url -> \"you asked for {url}\"
})",
    );
    let text = format!(
        "use http
echo = unwrap (http::post \"http://{address}/echo\" \"bird ✓\")
failed = unwrap (http::get \"http://{address}/fail\")
(echo.status, http::header \"x-method\" echo, echo.body, (unwrap (http::get \"http://{address}/a?b=1\")).body, failed.status, failed.body)"
    );
    let expected = "(201, Some \"POST\", \"bird ✓\", \"you asked for /a?b=1\", 500, \"Broken 1\\n\")";
    assert_eq!(value(&folder, "http=127.0.0.1", &text), expected);
    let mut stream = TcpStream::connect(&address).expect("it listens");
    stream.write_all(b"nonsense\r\n\r\n").expect("it can be written to");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[test]
fn connections_are_served_and_made() {
    let folder = folder("tcp");
    let (_server, address) = server(
        &folder,
        "use tcp
listener = unwrap (tcp::listen \"127.0.0.1:0\")
println (unwrap (tcp::address listener))
tcp::serve listener (c -> { text = unwrap (tcp::read c 100); tcp::write c (String.upper text); if text == \"fail\" { error Broken 1 } else { () } })",
    );
    let text = format!(
        "use tcp
ask = text -> {{ c = unwrap (tcp::connect \"{address}\"); tcp::write c text; got = tcp::read_all c; (got, tcp::close c) }}
map ask [\"one\", \"größer\", \"fail\"]"
    );
    assert_eq!(value(&folder, "connect", &text), "[(\"ONE\", Ok), (\"GRÖSSER\", Ok), (\"FAIL\", Ok)]");
    // A character that arrives in two parts is one character.
    let mut stream = TcpStream::connect(&address).expect("it listens");
    stream.write_all(&"ö".as_bytes()[..1]).expect("it can be written to");
    std::thread::sleep(std::time::Duration::from_millis(20));
    stream.write_all(&"ö".as_bytes()[1..]).expect("it can be written to");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is closed at the end");
    assert_eq!(answer, "Ö");
}

#[test]
fn waiting_for_the_world_is_no_deadlock_and_stops_nobody() {
    let folder = folder("waits");
    let text = "use tcp
listener = unwrap (tcp::listen \"127.0.0.1:0\")
address = unwrap (tcp::address listener)
waiting = spawn (() -> unwrap (tcp::read (unwrap (tcp::accept listener)) 10))
sleep 20
c = unwrap (tcp::connect address)
tcp::write c \"late\"
(await waiting, try await (spawn (() -> receive ())))";
    let expected = "(\"late\", Error (Deadlock \"all processes are waiting\"))";
    for _ in 0..5 {
        assert_eq!(value(&folder, "listen,connect", text), expected);
    }
}

#[test]
fn what_is_closed_or_nobody_waits_for_any_more_is_over() {
    let folder = folder("closed");
    let text = "use tcp
use processes
listener = unwrap (tcp::listen \"127.0.0.1:0\")
c = unwrap (tcp::connect (unwrap (tcp::address listener)))
reading = spawn (() -> tcp::read c 10)
accepting = spawn (() -> { tcp::accept listener; tcp::accept listener })
gone = spawn (() -> tcp::read c 10)
sleep 20
processes::cancel gone \"enough\"
tcp::close c
tcp::close listener
(Result.is_error (await reading), Result.is_error (await accepting), try await (spawn (() -> receive ())))";
    let expected = "(true, true, Error (Deadlock \"all processes are waiting\"))";
    assert_eq!(value(&folder, "listen,connect", text), expected);
}

#[test]
fn what_has_no_end_is_not_read_to_its_end() {
    let folder = folder("endless");
    let text = "small = System.spawn_with ({ memory: 1000000 }, () -> read_file \"/dev/zero\")
line = System.spawn_with ({ memory: 1000000 }, () -> System.read_line ())
(try await small |> Result.is_error, try await line |> Result.is_error)";
    std::fs::write(folder.join("program.pn"), text).expect("the program can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.args(["run", "--value", "--allow", "read_file"]).arg(folder.join("program.pn"));
    let endless = std::fs::File::open("/dev/zero").expect("there is one");
    let output = command.stdin(endless).output().expect("it starts");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "= (true, true)\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
