//! Contents by hash, in one file that survives a crash at any moment.
//!
//! ```text
//!  names ──► objects ──► chunks            name: text for people and programs
//!  pins  ──►   │  └────► other objects     object: what it is, its chunks, the objects it needs
//!              └──────── functions         function group: the code it is in
//! ```
//!
//! The key of an object is the BLAKE3-256 hash of its content, and everything that is read is hashed again. Contents are cut where their bytes say so
//! (content-defined chunking), so that two versions of a large content share most chunks. What neither a name nor a pin leads to is garbage.
#![forbid(unsafe_code)]

mod collect;
mod entry;
mod error;

pub use collect::{Collected, Problem};
pub use entry::{Entry, Kind};
pub use error::StoreError;

use qualm_ir::hash::{FunctionHash, function_hashes};
use qualm_ir::module::Module;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

const CHUNKS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("chunks");
const OBJECTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("objects");
const NAMES: TableDefinition<'_, &str, &[u8; 32]> = TableDefinition::new("names");
const PINS: TableDefinition<'_, &[u8; 32], ()> = TableDefinition::new("pins");
/// Function groups by hash: the code object each is in.
const FUNCTIONS: TableDefinition<'_, &[u8; 32], &[u8; 32]> = TableDefinition::new("functions");

/// Bytes of a chunk: at least, on average, at most.
const CHUNK_BYTES: (usize, usize, usize) = (1 << 10, 1 << 12, 1 << 15);

/// Bytes of a name.
pub const NAME_BYTES_MAX: usize = 1024;

/// The hash of a content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        let bytes: Option<Vec<u8>> =
            digits.map(|digits| digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0)).collect());
        match bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
            Some(hash) if text.len() == 64 => Ok(Self(hash)),
            _ => Err(format!("`{text}` is no hash: 64 hexadecimal digits are")),
        }
    }
}

/// A store of contents.
pub struct Store {
    db: Database,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

/// What putting something in wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// The key of the object.
    pub hash: Hash,
    /// Bytes that were not there before.
    pub new_bytes: u64,
}

impl Store {
    /// Opens the store in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// If the folder cannot be made or another program has the store open.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(|error| StoreError::Folder(folder.to_path_buf(), error))?;
        let db = Database::create(folder.join("store.redb"))?;
        let write = db.begin_write()?;
        {
            write.open_table(CHUNKS)?;
            write.open_table(OBJECTS)?;
            write.open_table(NAMES)?;
            write.open_table(PINS)?;
            write.open_table(FUNCTIONS)?;
        }
        write.commit()?;
        Ok(Self { db })
    }

    /// Puts a content in that needs others, and gives it a name if one is given; when this returns it is on the disk.
    ///
    /// # Errors
    /// If the disk refuses, a needed object is not there, or the name is too long.
    pub fn put(&self, kind: Kind, bytes: &[u8], needs: &[Hash], name: Option<&str>) -> Result<Written, StoreError> {
        let hash = Hash::of(bytes);
        let write = self.db.begin_write()?;
        let mut new_bytes = 0;
        {
            let mut chunks = write.open_table(CHUNKS)?;
            let mut objects = write.open_table(OBJECTS)?;
            for need in needs {
                if objects.get(&need.0)?.is_none() {
                    return Err(StoreError::Missing(*need));
                }
            }
            let mut entry = Entry { kind, size: bytes.len() as u64, chunks: Vec::new(), needs: needs.to_vec() };
            for chunk in cut(bytes) {
                let key = Hash::of(chunk);
                if chunks.get(&key.0)?.is_none() {
                    chunks.insert(&key.0, chunk)?;
                    new_bytes += chunk.len() as u64;
                }
                entry.chunks.push(key);
            }
            let encoded = entry.encode();
            let known = objects.get(&hash.0)?.is_some_and(|found| found.value() == encoded);
            if !known {
                objects.insert(&hash.0, &*encoded)?;
                new_bytes += encoded.len() as u64;
            }
            if let Some(name) = name {
                check_name(name)?;
                write.open_table(NAMES)?.insert(name, &hash.0)?;
            }
        }
        write.commit()?;
        Ok(Written { hash, new_bytes })
    }

    /// Puts code in, so that its functions can be found by hash.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn put_code(&self, module: &Module, name: Option<&str>) -> Result<Written, StoreError> {
        let written = self.put(Kind::Code, &qualm_ir::binary::encode(module), &[], name)?;
        let write = self.db.begin_write()?;
        {
            let mut functions = write.open_table(FUNCTIONS)?;
            for hash in function_hashes(module).iter().filter(|hash| hash.member == 0) {
                functions.insert(&hash.group, &written.hash.0)?;
            }
        }
        write.commit()?;
        Ok(written)
    }

    /// The code in which a function is.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn code_of(&self, function: &FunctionHash) -> Result<Option<Hash>, StoreError> {
        let read = self.db.begin_read()?;
        Ok(read.open_table(FUNCTIONS)?.get(&function.group)?.map(|found| Hash(*found.value())))
    }

    /// What is known of an object.
    ///
    /// # Errors
    /// If the disk refuses or what is there is no entry.
    pub fn entry(&self, hash: Hash) -> Result<Option<Entry>, StoreError> {
        let read = self.db.begin_read()?;
        let objects = read.open_table(OBJECTS)?;
        let Some(found) = objects.get(&hash.0)? else { return Ok(None) };
        Entry::decode(found.value()).map(Some).ok_or(StoreError::Damaged(hash))
    }

    /// A content; it is hashed again before it is given out.
    ///
    /// # Errors
    /// If the disk refuses or the content is not what its hash says.
    pub fn get(&self, hash: Hash) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(entry) = self.entry(hash)? else { return Ok(None) };
        let read = self.db.begin_read()?;
        let chunks = read.open_table(CHUNKS)?;
        let mut bytes = Vec::new();
        for chunk in &entry.chunks {
            let found = chunks.get(&chunk.0)?.ok_or(StoreError::Damaged(hash))?;
            bytes.extend_from_slice(found.value());
        }
        if Hash::of(&bytes) == hash { Ok(Some(bytes)) } else { Err(StoreError::Damaged(hash)) }
    }

    // ---- names and pins

    /// Gives an object a name, which it may take from another.
    ///
    /// # Errors
    /// If the object is not there, the name is too long or the disk refuses.
    pub fn name(&self, name: &str, hash: Hash) -> Result<(), StoreError> {
        check_name(name)?;
        if self.entry(hash)?.is_none() {
            return Err(StoreError::Missing(hash));
        }
        let write = self.db.begin_write()?;
        write.open_table(NAMES)?.insert(name, &hash.0)?;
        write.commit()?;
        Ok(())
    }

    /// Takes a name away; whether it was there.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn unname(&self, name: &str) -> Result<bool, StoreError> {
        let write = self.db.begin_write()?;
        let found = write.open_table(NAMES)?.remove(name)?.is_some();
        write.commit()?;
        Ok(found)
    }

    /// The object with a name.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn named(&self, name: &str) -> Result<Option<Hash>, StoreError> {
        let read = self.db.begin_read()?;
        Ok(read.open_table(NAMES)?.get(name)?.map(|found| Hash(*found.value())))
    }

    /// All names, in order.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn names(&self) -> Result<Vec<(String, Hash)>, StoreError> {
        let read = self.db.begin_read()?;
        let mut all = Vec::new();
        for found in read.open_table(NAMES)?.iter()? {
            let (name, hash) = found?;
            all.push((name.value().to_owned(), Hash(*hash.value())));
        }
        Ok(all)
    }

    /// Keeps an object (or no longer keeps it) although no name leads to it.
    ///
    /// # Errors
    /// If the object is not there or the disk refuses.
    pub fn pin(&self, hash: Hash, keep: bool) -> Result<(), StoreError> {
        if self.entry(hash)?.is_none() {
            return Err(StoreError::Missing(hash));
        }
        let write = self.db.begin_write()?;
        {
            let mut pins = write.open_table(PINS)?;
            if keep {
                pins.insert(&hash.0, ())?;
            } else {
                pins.remove(&hash.0)?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// All objects with what is known of them, by hash.
    ///
    /// # Errors
    /// If the disk refuses or what is there is no entry.
    pub fn objects(&self) -> Result<Vec<(Hash, Entry)>, StoreError> {
        let read = self.db.begin_read()?;
        let mut all = Vec::new();
        for found in read.open_table(OBJECTS)?.iter()? {
            let (hash, entry) = found?;
            let hash = Hash(*hash.value());
            all.push((hash, Entry::decode(entry.value()).ok_or(StoreError::Damaged(hash))?));
        }
        Ok(all)
    }
}

fn check_name(name: &str) -> Result<(), StoreError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX { Err(StoreError::Name(name.len())) } else { Ok(()) }
}

/// The chunks of a content.
fn cut(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (least, average, most) = CHUNK_BYTES;
    let cuts = fastcdc::v2020::FastCDC::new(bytes, least, average, most);
    cuts.map(|cut| &bytes[cut.offset..cut.offset + cut.length])
}
