//! Speaking to a node: `qualm fibers`, `snapshot`, `restore`, `top`, `run --node`, and the half of `qualm node` that is not the node itself.

use super::{complain, print};
use crate::status;
use clap::{Args, Subcommand};
use qualm_node::address::{Address, Connection, token_file};
use qualm_node::protocol::{Ask, Run, Steer, Tell, VERSION, receive, send};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Which node.
#[derive(Args, Clone, Debug, Default)]
pub struct NodeArgs {
    /// Where the node listens: a socket file or HOST:PORT [default: the socket in the store's folder]
    #[arg(long, value_name = "ADDR")]
    node: Option<String>,
    /// The folder of the node's store, which has its token [default: $QUALM_STORE or ~/.local/share/qualm]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

/// The folder of the store.
pub(crate) fn store_folder(given: Option<&Path>) -> PathBuf {
    if let Some(folder) = given {
        return folder.to_path_buf();
    }
    if let Some(folder) = std::env::var_os("QUALM_STORE") {
        return PathBuf::from(folder);
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
    home.join(".local/share/qualm")
}

impl NodeArgs {
    pub(crate) fn of(node: &str) -> Self {
        Self { node: Some(node.to_owned()), store: None }
    }

    /// The node that listens there, or the one of the store.
    pub(crate) fn at(node: Option<&str>, store: Option<PathBuf>) -> Self {
        Self { node: node.map(str::to_owned), store }
    }

    /// This very node.
    pub(crate) fn own(listen: &Address, store: PathBuf) -> Self {
        Self { node: Some(listen.to_string()), store: Some(store) }
    }

    /// A connection on which hello has been said.
    pub(crate) fn connect(&self) -> Result<Connection, String> {
        let address = self.node.as_deref().map(Address::parse);
        // The token lies beside the socket file, if that is named.
        let beside = match (&self.store, &address) {
            (None, Some(Address::Unix(path))) => path.parent().map(Path::to_path_buf),
            _ => None,
        };
        let folder = beside.unwrap_or_else(|| store_folder(self.store.as_deref()));
        let address = address.unwrap_or_else(|| Address::of_store(&folder));
        let file = token_file(&folder);
        let token = std::fs::read_to_string(&file).map_err(|error| {
            format!("no node's token at {} ({error}); `qualm node start` starts one", file.display())
        })?;
        let mut connection = address
            .connect()
            .map_err(|error| format!("no node listens at {address} ({error}); `qualm node start` starts one"))?;
        let gone = |error: std::io::Error| format!("the node at {address}: {error}");
        send(&mut connection, &Ask::Hello(VERSION, token)).map_err(gone)?;
        match receive(&mut connection).map_err(gone)? {
            Some(Tell::Welcome) => Ok(connection),
            Some(Tell::Refused(why)) => Err(format!("the node at {address} refuses: {why}")),
            _ => Err(format!("what listens at {address} is no node")),
        }
    }

    fn ask(&self, ask: &Ask) -> Result<Tell, String> {
        let mut connection = self.connect()?;
        let told = send(&mut connection, ask).and_then(|()| receive(&mut connection));
        match told.map_err(|error| format!("the node: {error}"))? {
            Some(Tell::Refused(why)) => Err(why),
            Some(told) => Ok(told),
            None => Err("the node went away".to_owned()),
        }
    }
}

/// Asks, and shows the answer.
pub(crate) fn show(node: &NodeArgs, ask: &Ask) -> u8 {
    match node.ask(ask) {
        Ok(Tell::Text(text)) => print(&text),
        Ok(Tell::Table(rows)) => print(&table(&rows, std::io::stdout().is_terminal())),
        Ok(Tell::Started(number)) => print(&format!("program {number}\n")),
        Ok(_) => {}
        Err(why) => {
            complain(&format!("{why}\n"));
            return status::INVALID;
        }
    }
    status::OK
}

/// Columns side by side for people, separated by tabs in a pipe.
fn table(rows: &[Vec<String>], for_people: bool) -> String {
    let mut out = String::new();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            if for_people && at + 1 < columns { format!("{cell:width$}") } else { cell.clone() }
        });
        let line = cells.collect::<Vec<_>>().join(if for_people { "  " } else { "\t" });
        out.push_str(if for_people { line.trim_end() } else { &line });
        out.push('\n');
    }
    out
}

/// What `qualm fibers` does.
#[derive(Subcommand, Debug)]
pub enum FibersCommand {
    /// List all fibers: what they do, what they use, where they are
    Ls(NodeArgs),
    /// Show one fiber and its active calls in the source
    Show(OneFiber),
    /// The same as show
    Trace(OneFiber),
    /// Stop a fiber until it may go on
    Suspend(OneFiber),
    /// Let a suspended fiber go on
    Resume(OneFiber),
    /// Save the program of a fiber
    Snapshot(OneFiber),
    /// End a fiber; its parent learns that it was cancelled
    Kill(OneFiber),
}

/// A fiber of a node.
#[derive(Args, Debug)]
pub struct OneFiber {
    /// PROGRAM/FIBER as `qualm fibers ls` shows it, or PROGRAM for its main fiber
    fiber: String,
    #[command(flatten)]
    node: NodeArgs,
}

/// `qualm fibers`
pub fn fibers(command: FibersCommand) -> u8 {
    match command {
        FibersCommand::Ls(node) => show(&node, &Ask::List),
        FibersCommand::Show(one) | FibersCommand::Trace(one) => show(&one.node, &Ask::Show(one.fiber)),
        FibersCommand::Suspend(one) => show(&one.node, &Ask::Steer(Steer::Suspend, one.fiber)),
        FibersCommand::Resume(one) => show(&one.node, &Ask::Steer(Steer::Resume, one.fiber)),
        FibersCommand::Kill(one) => show(&one.node, &Ask::Steer(Steer::Kill, one.fiber)),
        FibersCommand::Snapshot(one) => snapshot(one),
    }
}

/// `qualm snapshot`
pub fn snapshot(one: OneFiber) -> u8 {
    let program = one.fiber.split('/').next().and_then(|program| program.parse().ok());
    match program {
        Some(program) => show(&one.node, &Ask::Snapshot(program)),
        None => {
            complain(&format!("`{}` is no fiber; `qualm fibers ls` lists them\n", one.fiber));
            status::USAGE
        }
    }
}

/// Arguments of `qualm restore`.
#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// What `qualm snapshot` printed
    hash: String,
    /// Capabilities to grant, separated by commas [default: those of a script]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    allow: Vec<String>,
    #[command(flatten)]
    node: NodeArgs,
}

/// `qualm restore`
pub fn restore(args: RestoreArgs) -> u8 {
    match super::run::grants(&args.allow) {
        Ok(allow) => show(&args.node, &Ask::Restore(args.hash, allow)),
        Err(code) => code,
    }
}

/// Runs a program at a node.
pub(crate) fn run_at(node: &NodeArgs, run: Run, print_value: bool) -> u8 {
    let refuse = |why: String| {
        complain(&format!("{why}\n"));
        status::INVALID
    };
    let detach = run.detach;
    let mut connection = match node.connect() {
        Ok(connection) => connection,
        Err(why) => return refuse(why),
    };
    if let Err(error) = send(&mut connection, &Ask::Run(Box::new(run))) {
        return refuse(format!("the node: {error}"));
    }
    loop {
        match receive(&mut connection) {
            Ok(Some(Tell::Started(number))) if detach => {
                print(&format!("program {number}\n"));
                return status::OK;
            }
            Ok(Some(Tell::Output(bytes))) => {
                let mut stdout = std::io::stdout().lock();
                if stdout.write_all(&bytes).and_then(|()| stdout.flush()).is_err() {
                    return status::OK;
                }
            }
            Ok(Some(Tell::Ended(code, message, value))) => {
                if let (true, Some(value)) = (print_value, value) {
                    print(&format!("= {value}\n"));
                }
                complain(&message);
                return code;
            }
            Ok(Some(Tell::Refused(why))) => return refuse(why),
            Ok(Some(_)) => {}
            Ok(None) => return refuse("the node went away".to_owned()),
            Err(error) => return refuse(format!("the node: {error}")),
        }
    }
}

/// Arguments of `qualm top`.
#[derive(Args, Debug)]
pub struct TopArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Show this often and end [default: go on until Ctrl-C]
    #[arg(long, value_name = "N")]
    times: Option<u64>,
}

/// `qualm top`: the busiest fibers, again every second.
pub fn top(args: &TopArgs) -> u8 {
    /// Rows that fit on most terminals.
    const ROWS: usize = 30;
    const ENTRIES: usize = 5;
    let terminal = std::io::stdout().is_terminal();
    let mut before: std::collections::HashMap<String, u64> = std::collections::HashMap::new();
    let mut round = 0;
    loop {
        let mut rows = match args.node.ask(&Ask::List) {
            Ok(Tell::Table(rows)) => rows,
            Ok(_) => return status::INVALID,
            Err(why) => {
                complain(&format!("{why}\n"));
                return status::INVALID;
            }
        };
        let mut head = if rows.is_empty() { Vec::new() } else { rows.remove(0) };
        head.insert(ENTRIES, "PER SECOND".to_owned());
        let count = rows.len();
        let mut busy: Vec<(u64, Vec<String>)> = Vec::new();
        let mut now = std::collections::HashMap::new();
        for mut row in rows {
            let entries: u64 = row.get(ENTRIES).and_then(|cell| cell.parse().ok()).unwrap_or(0);
            let since = entries - before.get(&row[0]).copied().unwrap_or(entries).min(entries);
            now.insert(row[0].clone(), entries);
            row.insert(ENTRIES, since.to_string());
            busy.push((since, row));
        }
        before = now;
        busy.sort_by_key(|(since, _)| std::cmp::Reverse(*since));
        let mut shown = vec![head];
        shown.extend(busy.into_iter().take(ROWS).map(|(_, row)| row));
        let text = format!("{count} fibers\n{}", table(&shown, terminal));
        print(&if terminal { format!("\x1b[H\x1b[2J{text}") } else { text });
        let _ = std::io::stdout().flush();
        round += 1;
        if args.times.is_some_and(|times| round >= times) {
            return status::OK;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}
