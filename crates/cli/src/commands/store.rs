//! `qualm store`: what is in a store. A node has its store open, so it must not run.

use super::client::store_folder;
use super::{complain, print};
use crate::status;
use clap::{Args, Subcommand};
use qualm_store::{Hash, Store, StoreError};
use std::path::PathBuf;

/// What `qualm store` does.
#[derive(Subcommand, Debug)]
pub enum StoreCommand {
    /// List what is in it: hash, kind, size, names
    Ls(StoreArgs),
    /// Show one object: its size, chunks, what it needs
    Show(ShowArgs),
    /// Let go of what no name and no pin leads to
    Gc(StoreArgs),
    /// Read everything and hash it again
    Verify(StoreArgs),
}

/// Which store.
#[derive(Args, Debug)]
pub struct StoreArgs {
    /// The folder of the store [default: $QUALM_STORE or ~/.local/share/qualm]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

/// Arguments of `qualm store show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// A hash, the start of one, or a name
    what: String,
    #[command(flatten)]
    store: StoreArgs,
}

/// `qualm store`
pub fn store(command: StoreCommand) -> u8 {
    let done = match command {
        StoreCommand::Ls(args) => open(&args).and_then(|store| list(&store)),
        StoreCommand::Show(args) => open(&args.store).and_then(|store| show(&store, &args.what)),
        StoreCommand::Gc(args) => open(&args).and_then(|store| {
            let gone = store.collect()?;
            print(&format!("{} objects, {} chunks, {} bytes let go\n", gone.objects, gone.chunks, gone.bytes));
            Ok(status::OK)
        }),
        StoreCommand::Verify(args) => open(&args).and_then(|store| verify(&store)),
    };
    done.unwrap_or_else(|error| {
        complain(&format!("{error}\n"));
        status::INVALID
    })
}

fn open(args: &StoreArgs) -> Result<Store, StoreError> {
    Store::open(&store_folder(args.store.as_deref()))
}

fn list(store: &Store) -> Result<u8, StoreError> {
    let names = store.names()?;
    for (hash, entry) in store.objects()? {
        let own: Vec<&str> = names.iter().filter(|(_, named)| *named == hash).map(|(name, _)| &**name).collect();
        let line = format!("{hash}  {:5}  {:>10}  {}", entry.kind, entry.size, own.join(" "));
        print(&format!("{}\n", line.trim_end()));
    }
    Ok(status::OK)
}

fn find(store: &Store, what: &str) -> Result<Vec<Hash>, StoreError> {
    if let Some(hash) = store.named(what)? {
        return Ok(vec![hash]);
    }
    let all = store.objects()?.into_iter().map(|(hash, _)| hash);
    Ok(all.filter(|hash| hash.to_string().starts_with(what)).collect())
}

fn show(store: &Store, what: &str) -> Result<u8, StoreError> {
    let found = find(store, what)?;
    let [hash] = found[..] else {
        complain(&format!("`{what}` is {} objects; a name or the start of one hash is needed\n", found.len()));
        return Ok(status::INVALID);
    };
    if let Some(entry) = store.entry(hash)? {
        let mut text =
            format!("hash    {hash}\nkind    {}\nsize    {}\nchunks  {}\n", entry.kind, entry.size, entry.chunks.len());
        entry.needs.iter().for_each(|need| text.push_str(&format!("needs   {need}\n")));
        print(&text);
    }
    Ok(status::OK)
}

fn verify(store: &Store) -> Result<u8, StoreError> {
    let problems = store.verify()?;
    for problem in &problems {
        print(&format!("{problem}\n"));
    }
    if problems.is_empty() {
        print(&format!("{} objects, all as their hashes say\n", store.objects()?.len()));
        return Ok(status::OK);
    }
    Ok(status::UNCAUGHT)
}
