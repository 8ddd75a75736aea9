//! Images made on the spot from a static busybox: nothing is pulled from anywhere.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::dockerd::Dockerd;
use crate::registry::Registry;
use crate::scratch::Scratch;
use crate::tool;

/// The commands that the images have besides `busybox` itself.
const APPLETS: &[&str] = &[
    "sh", "sleep", "echo", "cat", "ls", "true", "false", "touch", "rm", "test", "date", "httpd", "wget",
    "nc", "env", "id", "kill", "seq", "yes", "mkdir", "hostname", "ip", "ps", "grep", "head", "dd", "stat",
];

/// Runs until it is told to end, and then ends well at once, which `sleep` as a first process would not.
pub const SERVE: &str = "trap 'exit 0' TERM; echo started; while :; do sleep 3600 & wait $!; done";

/// What an image holds and says.
#[derive(Debug, Clone)]
pub struct ImageOptions {
    /// What it runs, as a script of its shell.
    pub script: String,
    /// Dockerfile instructions, each on its own: `LABEL a=b`, `HEALTHCHECK …`, `VOLUME /data`, `EXPOSE 80`.
    pub instructions: Vec<String>,
    /// One more layer of so many random bytes for each entry, so that no two images share it.
    pub layers: Vec<usize>,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self { script: SERVE.to_owned(), instructions: Vec::new(), layers: Vec::new() }
    }
}

impl ImageOptions {
    /// An image that runs `script`.
    #[must_use]
    pub fn running(script: &str) -> Self {
        Self { script: script.to_owned(), ..Self::default() }
    }

    /// With one more Dockerfile instruction.
    #[must_use]
    pub fn with(mut self, instruction: &str) -> Self {
        self.instructions.push(instruction.to_owned());
        self
    }

    /// With one more layer of so many random bytes.
    #[must_use]
    pub fn layer(mut self, bytes: usize) -> Self {
        self.layers.push(bytes);
        self
    }
}

/// Makes the image `tag` on an engine and gives its id (`sha256:…`).
///
/// # Panics
/// When it cannot be made; the message says why.
pub async fn busybox_image(engine: &Dockerd, tag: &str, options: &ImageOptions) -> String {
    match build(engine, tag, options).await {
        Ok(id) => id,
        Err(error) => panic!("cannot make the image {tag}: {error:#}"),
    }
}

/// Makes an image, pushes it and gives its repository digest (`sha256:…`). `name_and_tag` is without the
/// registry's address.
///
/// # Panics
/// As [`busybox_image`].
pub async fn push_image(
    engine: &Dockerd,
    registry: &Registry,
    name_and_tag: &str,
    options: &ImageOptions,
) -> String {
    let name = registry.image(name_and_tag);
    busybox_image(engine, &name, options).await;
    let pushed = engine.docker(["push", &name]).await;
    match pushed.split_whitespace().find(|word| word.starts_with("sha256:")) {
        Some(digest) => digest.to_owned(),
        None => panic!("docker push named no digest: {pushed}"),
    }
}

async fn build(engine: &Dockerd, tag: &str, options: &ImageOptions) -> anyhow::Result<String> {
    let context = Scratch::new()?;
    root_file_system(&context.path().join("root"))?;
    let mut dockerfile = String::from("FROM scratch\nCOPY root /\n");
    for (number, bytes) in options.layers.iter().enumerate() {
        random_file(&context.path().join(format!("layer{number}")), *bytes)?;
        dockerfile.push_str(&format!("COPY layer{number} /layer{number}\n"));
    }
    for instruction in &options.instructions {
        dockerfile.push_str(&format!("{instruction}\n"));
    }
    dockerfile.push_str("ENV PATH=/bin\n");
    dockerfile.push_str(&format!("CMD {}\n", serde_json::to_string(&["/bin/sh", "-c", &options.script])?));
    std::fs::write(context.path().join("Dockerfile"), dockerfile)?;
    let mut command = engine.command("docker")?;
    command.args(["build", "--quiet", "--tag", tag]).arg(context.path());
    tool::succeed(&mut command).await
}

fn root_file_system(root: &Path) -> anyhow::Result<()> {
    let bin = root.join("bin");
    std::fs::create_dir_all(&bin)?;
    std::fs::create_dir_all(root.join("tmp"))?;
    let busybox = tool::find("busybox")?;
    ensure!(
        is_static(&std::fs::read(&busybox)?),
        "{} is not static: run `apt-get install busybox-static`",
        busybox.display()
    );
    std::fs::copy(busybox, bin.join("busybox"))?;
    for applet in APPLETS {
        std::os::unix::fs::symlink("busybox", bin.join(applet))?;
    }
    Ok(())
}

/// Whether an executable names no dynamic loader.
fn is_static(executable: &[u8]) -> bool {
    !executable.windows(7).any(|bytes| bytes == b"/ld-lin")
}

fn random_file(path: &Path, bytes: usize) -> anyhow::Result<()> {
    let mut content = Vec::with_capacity(bytes);
    std::fs::File::open("/dev/urandom")?.take(bytes as u64).read_to_end(&mut content)?;
    std::fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_executable_is_told_from_a_static_one() {
        assert!(!is_static(b"\x7fELF....../lib64/ld-linux-x86-64.so.2...."));
        assert!(is_static(b"\x7fELF.............."));
    }
}
