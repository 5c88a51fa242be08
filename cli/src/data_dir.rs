//! The data directory: what a node must find again after a restart, private to its user.
//!
//! Files are replaced whole, so that none is ever half written, and one process at a time looks into the directory.
//! What the files mean is not known here, except for the internal signing key.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use broker::auth::key::AccessKey;

const LOCK: &str = ".lock";
const INTERNAL_KEY: &str = "internal.key";

/// An open data directory. Other processes wait until it is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    /// It cannot be made, read or written.
    #[error("cannot use the data directory {}: {}: {reason}; choose another with --data-dir", path.display(), attempt)]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What was tried.
        attempt: String,
        /// Why it failed.
        reason: io::Error,
    },
    /// The internal key is not a key.
    #[error("{} does not hold a signing key; remove it, and the next start makes a new one", .0.display())]
    DamagedKey(PathBuf),
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner.
    Owner,
    /// All users of the machine.
    Everybody,
}

impl DataDir {
    /// Opens the directory, made for its owner alone if it is not there. Waits while another process has it open.
    ///
    /// # Errors
    /// [`DataDirError::Unusable`]
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let fault = |attempt: &str, reason| unusable(path, attempt.to_owned(), reason);
        make_private(path).map_err(|reason| fault("making it", reason))?;
        // The lock of the file goes with the file.
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK));
        let lock = lock.map_err(|reason| fault("writing to it", reason))?;
        lock.lock().map_err(|reason| fault("locking it", reason))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where a file of the directory is.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Content of a file, if it is there.
    ///
    /// # Errors
    /// [`DataDirError::Unusable`]
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DataDirError> {
        match fs::read(self.file(name)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(reason) => Err(unusable(&self.path, format!("reading {name}"), reason)),
        }
    }

    /// Replaces a file whole.
    ///
    /// # Errors
    /// [`DataDirError::Unusable`]
    pub(crate) fn write(&self, name: &str, content: &[u8], readers: Readers) -> Result<(), DataDirError> {
        let fresh = self.file(&format!(".{name}.new"));
        let write = || {
            let mut file = create(&fresh, readers)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&fresh, self.file(name))
        };
        write().map_err(|reason| unusable(&self.path, format!("writing {name}"), reason))
    }

    /// The key that signs what the node gives out itself, made at the first start.
    ///
    /// # Errors
    /// [`DataDirError`]
    pub(crate) fn internal_key(&self) -> Result<AccessKey, DataDirError> {
        if let Some(content) = self.read(INTERNAL_KEY)? {
            let text = std::str::from_utf8(&content).unwrap_or_default().trim_end();
            return AccessKey::new(text).map_err(|_| DataDirError::DamagedKey(self.file(INTERNAL_KEY)));
        }
        let key = AccessKey::generate(rand::random());
        self.write(INTERNAL_KEY, format!("{}\n", key.expose()).as_bytes(), Readers::Owner)?;
        Ok(key)
    }
}

fn unusable(path: &Path, attempt: String, reason: io::Error) -> DataDirError {
    DataDirError::Unusable { path: path.to_owned(), attempt, reason }
}

fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes an empty file, in place of one that a process left behind that was ended while it wrote.
fn create(path: &Path, readers: Readers) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        let mode = if readers == Readers::Owner { 0o600 } else { 0o644 };
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    }
    #[cfg(not(unix))]
    let _ = readers;
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Scratch;

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
    }

    #[test]
    fn the_internal_key_survives_a_restart_and_is_private() {
        let scratch = Scratch::new();
        let path = scratch.path().join("a/b");
        let first = DataDir::open(&path).unwrap().internal_key().unwrap();
        let second = DataDir::open(&path).unwrap().internal_key().unwrap();
        assert_eq!(first.expose(), second.expose());
        #[cfg(unix)]
        assert_eq!((mode(&path), mode(&path.join(INTERNAL_KEY))), (0o700, 0o600));
        assert!(!path.join(".internal.key.new").exists());
    }

    #[test]
    fn a_damaged_key_is_not_used() {
        let scratch = Scratch::new();
        let dir = DataDir::open(scratch.path()).unwrap();
        fs::write(dir.file(INTERNAL_KEY), "short\n").unwrap();
        let error = dir.internal_key().unwrap_err().to_string();
        assert!(error.ends_with(
            "internal.key does not hold a signing key; remove it, and the next start makes a new one"
        ));
        assert!(!error.contains("short"));
    }

    #[test]
    fn what_was_left_half_written_is_replaced() {
        let scratch = Scratch::new();
        let dir = DataDir::open(scratch.path()).unwrap();
        fs::write(dir.file(".x.new"), "half").unwrap();
        dir.write("x", b"whole", Readers::Everybody).unwrap();
        assert_eq!(dir.read("x").unwrap().unwrap(), b"whole");
        assert_eq!(dir.read("y").unwrap(), None);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let scratch = Scratch::new();
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        let error = DataDir::open(&file.join("dir")).unwrap_err().to_string();
        assert!(error.starts_with("cannot use the data directory "), "{error}");
        assert!(error.ends_with("choose another with --data-dir"), "{error}");
    }
}
