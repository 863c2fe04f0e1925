//! Why a store refuses.

use crate::{Hash, NAME_BYTES_MAX};
use std::fmt;
use std::path::PathBuf;

/// Why a store refuses.
#[derive(Debug)]
pub enum StoreError {
    /// The folder cannot be made.
    Folder(PathBuf, std::io::Error),
    /// Another program has the store open.
    InUse,
    /// An object is not what its hash says; `qualm store verify` tells more.
    Damaged(Hash),
    /// An object that is needed is not there.
    Missing(Hash),
    /// A name of so many bytes.
    Name(usize),
    /// The database or the disk refuses.
    Database(Box<redb::Error>),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, error) => write!(f, "{}: {error}", path.display()),
            Self::InUse => f.write_str(
                "another program has this store open (a node?); stop it, or name another folder with --store",
            ),
            Self::Damaged(hash) => write!(f, "{hash} is not what its hash says; `qualm store verify` tells more"),
            Self::Missing(hash) => write!(f, "{hash} is not in the store"),
            Self::Name(length) => write!(f, "a name has 1 to {NAME_BYTES_MAX} bytes, not {length}"),
            Self::Database(error) => write!(f, "the store: {error}"),
        }
    }
}

impl std::error::Error for StoreError {}

macro_rules! from_database {
    ($( $kind:ident ),*) => {
        $( impl From<redb::$kind> for StoreError {
            fn from(error: redb::$kind) -> Self {
                Self::Database(Box::new(error.into()))
            }
        } )*
    };
}

from_database!(TransactionError, TableError, StorageError, CommitError);

impl From<redb::DatabaseError> for StoreError {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::InUse,
            other => Self::Database(Box::new(other.into())),
        }
    }
}
