//! `qualm node`: a node that hosts programs of several clients.

use super::client::{NodeArgs, show, store_folder};
use super::complain;
use crate::status;
use clap::{Args, Subcommand};
use qualm_node::address::Address;
use qualm_node::node::{NodeOptions, serve};
use qualm_node::protocol::Ask;
use qualm_passerine::is_standard;
use std::path::PathBuf;
use std::time::Duration;

/// What `qualm node` does.
#[derive(Subcommand, Debug)]
pub enum NodeCommand {
    /// Run a node until it is told to stop (Ctrl-C, `qualm node stop`); it saves its programs then, and goes on with them when it starts again
    Start(StartArgs),
    /// Tell a node to save its programs and end
    Stop(NodeArgs),
    /// Print numbers about a node, in the text format of Prometheus
    Metrics(NodeArgs),
}

/// Arguments of `qualm node start`.
#[derive(Args, Debug)]
pub struct StartArgs {
    /// The folder of its store [default: $QUALM_STORE or ~/.local/share/qualm]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Where to listen: a socket file or HOST:PORT [default: a socket in the store's folder]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Tell numbers about the node over HTTP at HOST:PORT, as Prometheus reads them
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
    /// Save the programs every so many seconds too, so that little is lost if the node is killed [default: only when it stops]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint: Option<u64>,
    /// Threads for each program [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
}

/// `qualm node`
pub fn node(command: NodeCommand) -> u8 {
    match command {
        NodeCommand::Start(args) => start(&args),
        NodeCommand::Stop(node) => show(&node, &Ask::Stop),
        NodeCommand::Metrics(node) => show(&node, &Ask::Metrics),
    }
}

fn start(args: &StartArgs) -> u8 {
    let folder = store_folder(args.store.as_deref());
    let listen = args.listen.as_deref().map_or_else(|| Address::of_store(&folder), Address::parse);
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let options = NodeOptions {
        workers: args.workers.map_or_else(cores, usize::from),
        metrics: args.metrics.clone(),
        checkpoint: args.checkpoint.map(Duration::from_secs),
        hide: is_standard,
        listen: listen.clone(),
        folder: folder.clone(),
    };
    // Ctrl-C and the signal that ends services do what `qualm node stop` does.
    let own = NodeArgs::own(&listen, folder);
    let _ = ctrlc::set_handler(move || {
        show(&own, &Ask::Stop);
    });
    match serve(options, |line| complain(&format!("{line}\n"))) {
        Ok(()) => status::OK,
        Err(why) => {
            complain(&format!("{why}\n"));
            status::INVALID
        }
    }
}
