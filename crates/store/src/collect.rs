//! Letting go of what nothing leads to, and looking whether all is well.

use crate::{CHUNKS, Entry, FUNCTIONS, Hash, NAMES, OBJECTS, PINS, Store, StoreError};
use redb::{ReadableDatabase, ReadableTable};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// What a collection let go of.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Collected {
    /// Objects.
    pub objects: u64,
    /// Chunks.
    pub chunks: u64,
    /// Bytes of these chunks.
    pub bytes: u64,
}

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// An entry that cannot be read.
    Entry(Hash),
    /// An object one of whose chunks is missing or is another content.
    Content(Hash),
    /// An object that needs one that is not there.
    Needs(Hash, Hash),
    /// A name or pin of an object that is not there.
    Dangling(String, Hash),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(hash) => write!(f, "{hash}: its entry cannot be read"),
            Self::Content(hash) => write!(f, "{hash}: its content is not what its hash says"),
            Self::Needs(hash, other) => write!(f, "{hash}: needs {other}, which is not there"),
            Self::Dangling(name, hash) => write!(f, "{name}: leads to {hash}, which is not there"),
        }
    }
}

impl Store {
    /// Lets go of every object that neither a name nor a pin leads to, and of chunks that no object has.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn collect(&self) -> Result<Collected, StoreError> {
        let write = self.db.begin_write()?;
        let mut collected = Collected::default();
        {
            let mut objects = write.open_table(OBJECTS)?;
            let mut chunks = write.open_table(CHUNKS)?;
            let mut functions = write.open_table(FUNCTIONS)?;
            let mut open: Vec<Hash> = Vec::new();
            for found in write.open_table(NAMES)?.iter()? {
                open.push(Hash(*found?.1.value()));
            }
            for found in write.open_table(PINS)?.iter()? {
                open.push(Hash(*found?.0.value()));
            }
            let mut kept = HashSet::new();
            let mut kept_chunks = HashSet::new();
            while let Some(hash) = open.pop() {
                if !kept.insert(hash) {
                    continue;
                }
                if let Some(entry) = objects.get(&hash.0)?.and_then(|found| Entry::decode(found.value())) {
                    kept_chunks.extend(entry.chunks);
                    open.extend(entry.needs);
                }
            }
            objects.retain(|hash, _| {
                let keep = kept.contains(&Hash(*hash));
                collected.objects += u64::from(!keep);
                keep
            })?;
            chunks.retain(|hash, chunk| {
                let keep = kept_chunks.contains(&Hash(*hash));
                if !keep {
                    collected.chunks += 1;
                    collected.bytes += chunk.len() as u64;
                }
                keep
            })?;
            functions.retain(|_, code| kept.contains(&Hash(*code)))?;
        }
        write.commit()?;
        Ok(collected)
    }

    /// Reads everything and hashes it again.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn verify(&self) -> Result<Vec<Problem>, StoreError> {
        let read = self.db.begin_read()?;
        let objects = read.open_table(OBJECTS)?;
        let chunks = read.open_table(CHUNKS)?;
        let mut problems = Vec::new();
        let mut entries = HashMap::new();
        for found in objects.iter()? {
            let (hash, entry) = found?;
            let hash = Hash(*hash.value());
            match Entry::decode(entry.value()) {
                Some(entry) => drop(entries.insert(hash, entry)),
                None => problems.push(Problem::Entry(hash)),
            }
        }
        let mut hashes: Vec<_> = entries.keys().copied().collect();
        hashes.sort_unstable();
        for hash in hashes {
            let entry = &entries[&hash];
            let mut hasher = blake3::Hasher::new();
            let mut size = 0;
            for chunk in &entry.chunks {
                if let Some(found) = chunks.get(&chunk.0)? {
                    hasher.update(found.value());
                    size += found.value().len() as u64;
                }
            }
            if *hasher.finalize().as_bytes() != hash.0 || size != entry.size {
                problems.push(Problem::Content(hash));
            }
            let missing = entry.needs.iter().filter(|need| !entries.contains_key(need));
            problems.extend(missing.map(|need| Problem::Needs(hash, *need)));
        }
        let mut roots: Vec<(String, Hash)> = self.names()?;
        for found in read.open_table(PINS)?.iter()? {
            roots.push(("a pin".to_owned(), Hash(*found?.0.value())));
        }
        let dangling = roots.into_iter().filter(|(_, hash)| !entries.contains_key(hash));
        problems.extend(dangling.map(|(name, hash)| Problem::Dangling(name, hash)));
        Ok(problems)
    }
}
