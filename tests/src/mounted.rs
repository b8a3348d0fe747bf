//! File systems of a test's own: small ones that get really full, and ones that the kernel makes read-only under open files.
//!
//! Needs root and leave to mount; where that is missing [`Mounted`] says so and the test is skipped with the reason printed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Unmounted when dropped, after whoever has files open in it is gone.
pub struct Mounted {
    pub folder: PathBuf,
    image: Option<PathBuf>,
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output =
        Command::new(program).args(arguments).output().map_err(|fault| format!("{program}: {fault}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

impl Mounted {
    /// In memory, with so many KiB.
    pub fn tmpfs(folder: &Path, kib: u32) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(|fault| fault.to_string())?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={kib}k"), "gridwarden-test", text(folder)])?;
        Ok(Self { folder: folder.to_owned(), image: None })
    }

    /// ext4 in a file beside the folder; it becomes read-only at the first error, as most stations' do.
    pub fn ext4(folder: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(|fault| fault.to_string())?;
        let image = folder.with_extension("img");
        let file = std::fs::File::create(&image).map_err(|fault| fault.to_string())?;
        file.set_len(64 << 20).map_err(|fault| fault.to_string())?;
        run("mkfs.ext4", &["-q", "-F", text(&image)])?;
        let mounted = Self { folder: folder.to_owned(), image: Some(image) };
        mounted.mount()?;
        Ok(mounted)
    }

    fn mount(&self) -> Result<(), String> {
        let image = self.image.as_deref().expect("only an image is mounted again");
        run("mount", &["-o", "loop,errors=remount-ro", text(image), text(&self.folder)])
    }

    /// Tells the kernel that it has found an error: read-only from now on, files open or not.
    pub fn breaks(&self) -> Result<(), String> {
        let mounts = std::fs::read_to_string("/proc/mounts").map_err(|fault| fault.to_string())?;
        let folder = text(&self.folder);
        let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(folder));
        let device =
            line.and_then(|line| line.split(' ').next()?.strip_prefix("/dev/")).ok_or("it is not mounted")?;
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        std::fs::write(&trigger, "1").map_err(|fault| format!("{trigger}: {fault}"))
    }

    /// Nobody has files open in it any more: checked, repaired and mounted again.
    pub fn repaired(&self) -> Result<(), String> {
        let image = self.image.as_deref().expect("only an image is repaired");
        run("umount", &[text(&self.folder)])?;
        let checked = Command::new("e2fsck").args(["-f", "-y", text(image)]).output();
        let code = checked.map_err(|fault| fault.to_string())?.status.code();
        if !matches!(code, Some(0 | 1)) {
            return Err(format!("e2fsck ends with {code:?}")); // 1: errors were corrected.
        }
        self.mount()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a program that is being killed may still hold a file.
        let _ = run("umount", &["-l", text(&self.folder)]);
    }
}
