//! Lists the files of the built web UI for embedding. Without a built UI the controller is built all the same, and its
//! front page says which command builds it: Rust work needs no Node.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Endings of files that are another file's compressed form.
const COMPRESSED: [&str; 2] = ["br", "gz"];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let dist = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("web/dist");
    // The folder is always there, with a .gitignore in it: one that is missing would be built anew every time.
    println!("cargo:rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    if dist.join("index.html").exists() {
        collect(&dist, &mut files)?;
    } else {
        println!(
            "cargo:warning=the web UI is not built, so the controller serves a page that says so; build it with: \
             (cd controller/web && npm ci && npm run build)"
        );
    }
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        // Writing to a String cannot fail.
        let _ = writeln!(list, "    {},", entry(&dist, file));
    }
    list.push(']');
    fs::write(Path::new(&variable("OUT_DIR")?).join("web_files.rs"), list)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if !entry.file_name().to_string_lossy().starts_with('.') && !COMPRESSED.contains(&ending) {
            files.push(path);
        }
    }
    Ok(())
}

fn entry(dist: &Path, file: &Path) -> String {
    let name = file.strip_prefix(dist).unwrap_or(file).to_string_lossy().replace('\\', "/");
    let compressed = COMPRESSED.map(|ending| {
        let name = format!("{name}.{ending}");
        if dist.join(&name).exists() { format!("Some({})", include(&name)) } else { "None".to_owned() }
    });
    let [brotli, gzip] = compressed;
    format!("File {{ name: {name:?}, plain: {}, brotli: {brotli}, gzip: {gzip} }}", include(&name))
}

/// What embeds the file of this name. The list says nothing of the folder it is in: the compiler numbers the lines of
/// every later file behind it, and a longer path would give another program.
fn include(name: &str) -> String {
    format!("include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/web/dist/\", {name:?}))")
}
