//! Files with secrets: keys, passwords and tokens, which other users of the machine must not read.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};

/// Readable and writable by its owner alone.
const OWNER_ONLY: u32 = 0o600;

/// Writes a file that only its owner can read, from its first byte on, and whatever it was before.
pub fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(OWNER_ONLY);
    let mut file = options.open(path).with_context(failed)?;
    // One that is there keeps its mode when it is opened: closed to others before it holds anything new.
    file.set_permissions(fs::Permissions::from_mode(OWNER_ONLY)).with_context(failed)?;
    file.set_len(0).with_context(failed)?;
    file.write_all(contents.as_ref()).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_reads_what_is_written() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("analytics-private-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let (new, old) = (folder.join("new"), folder.join("old"));
        fs::write(&old, "longer than what follows")?;
        fs::set_permissions(&old, fs::Permissions::from_mode(0o644))?;
        for path in [&new, &old] {
            write(path, "secret")?;
            assert_eq!(fs::read_to_string(path)?, "secret");
            assert_eq!(fs::metadata(path)?.permissions().mode() & 0o777, OWNER_ONLY);
        }
        fs::remove_dir_all(folder)?;
        Ok(())
    }
}
