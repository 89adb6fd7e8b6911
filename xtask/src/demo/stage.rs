//! The guest's source and binary, and the host that runs it.

use super::screen::Screen;
use crate::libs;
use crate::machine::Machine;
use crate::tools::{Scratch, root};
use crate::watched::Watched;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Much longer than anything takes: only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Stage {
    machine: &'static Machine,
    screen: Screen,
    host: Watched,
    source: String,
    folder: Scratch,
    /// The last frame that the guest told of; it must never go back, since that is the guest's state.
    frame: u32,
}

impl Stage {
    /// Compiles the host and the first guest, and starts the host.
    pub(super) fn open(machine: &'static Machine, screen: Screen, source: &str) -> Result<Self> {
        let folder = Scratch::new("demo")?;
        let host = folder.path().join(host_name(machine));
        let mut compile = compiler(machine);
        compile.arg(root().join("samples/basic/basic_host.c")).arg(machine.lib_dir().join("libcr.a"));
        compile.args(libs::native_libs(machine)?.iter().map(|library| format!("-l{library}")));
        must(compile.arg("-o").arg(&host))?;

        let guest = folder.path().join(guest_name(machine));
        build_guest(machine, folder.path(), source, &guest)?;
        let mut run = machine.run(&host);
        let host = Watched::start(run.arg(&guest))?;
        Ok(Self { machine, screen, host, source: source.to_owned(), folder, frame: 0 })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn guest(&self) -> PathBuf {
        self.folder().join(guest_name(self.machine))
    }

    /// Begins a part of the show.
    pub(super) fn scene(&mut self, title: &str) -> Result<()> {
        self.screen.title(title);
        self.pause(700)
    }

    /// Ends it: what was to be seen has been seen.
    pub(super) fn passed(&mut self, text: &str) -> Result<()> {
        self.screen.passed(text);
        self.pause(500)
    }

    /// Gives the reader time, while the host goes on.
    fn pause(&mut self, milliseconds: u64) -> Result<()> {
        let until = Instant::now() + self.screen.time(milliseconds);
        while Instant::now() < until {
            // Nothing to show is fine here; an end is noticed by the next `expect`.
            let Ok(Some(line)) = self.host.next_line(until) else { break };
            self.show(&line)?;
            if line.starts_with("host: failure") {
                bail!("a failure out of nothing: {line}");
            }
        }
        Ok(())
    }

    fn show(&mut self, line: &str) -> Result<()> {
        self.screen.output(line);
        self.count(line)
    }

    /// Changes lines of the guest's source, before the reader's eyes. Each `old` must be there once.
    pub(super) fn edit(&mut self, changes: &[(&str, &str)]) -> Result<()> {
        for (old, new) in changes {
            if self.source.matches(old).count() != 1 {
                bail!("\"{old}\" is not there once in the guest");
            }
            let edited = self.source.replace(old, new);
            for (kind, one, other) in [('-', &self.source, &edited), ('+', &edited, &self.source)] {
                for line in one.lines().filter(|line| !other.lines().any(|there| there == *line)) {
                    let line = line.trim_start();
                    if kind == '-' { self.screen.removed(line) } else { self.screen.added(line) }
                }
            }
            self.source = edited;
        }
        self.pause(1000)
    }

    /// Compiles the guest into `output` as it stands now.
    pub(super) fn compile_to(&self, output: &Path) -> Result<()> {
        build_guest(self.machine, self.folder(), &self.source, output)
    }

    /// Compiles the guest; the host finds the new file at its next update.
    pub(super) fn rebuild(&self) -> Result<()> {
        self.compile_to(&self.guest())
    }

    /// Shows what the host prints until a line with all of `words`; a failure that is not awaited is an error.
    pub(super) fn expect(&mut self, words: &[&str]) -> Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.host.next_line(until).with_context(|| format!("waiting for {words:?}"))?;
            let Some(line) = line else { bail!("the host ended while it should say {words:?}") };
            self.show(&line)?;
            if words.iter().all(|word| line.contains(word)) {
                return Ok(line);
            }
            if line.starts_with("host: failure") {
                bail!("a failure, but {words:?} was to come: {line}");
            }
        }
    }

    /// Watches the guest: its next two lines must have all of `words`.
    pub(super) fn watch(&mut self, words: &[&str]) -> Result<()> {
        self.expect(words)?;
        let line = self.expect(&["guest: frame"])?;
        if !words.iter().all(|word| line.contains(word)) {
            bail!("the guest should go on with {words:?}, but says: {line}");
        }
        Ok(())
    }

    /// The frame counter is carried from version to version.
    fn count(&mut self, line: &str) -> Result<()> {
        let Some(rest) = line.strip_prefix("guest: frame ") else { return Ok(()) };
        let frame: u32 = rest.split(':').next().unwrap_or("").parse().with_context(|| line.to_owned())?;
        if frame <= self.frame || frame > self.frame + 100 {
            bail!("the state is lost: frame {frame} after frame {}", self.frame);
        }
        self.frame = frame;
        Ok(())
    }

    /// The host ends by itself, successfully, and leaves no file of its own.
    pub(super) fn finish(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while let Some(line) = self.host.next_line(until).context("waiting for the end")? {
            self.show(&line)?;
        }
        let status = self.host.wait(until)?;
        if !status.success() {
            bail!("the host ended with {status}");
        }
        let mut left: Vec<_> = fs::read_dir(self.folder())?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        left.sort();
        if left != ["guest.c", host_name(self.machine), guest_name(self.machine)] {
            bail!("the host left files behind: {left:?}");
        }
        Ok(())
    }
}

fn host_name(machine: &Machine) -> &'static str {
    if machine.is_windows() { "host.exe" } else { "host" }
}

fn guest_name(machine: &Machine) -> &'static str {
    if machine.is_windows() { "libguest.dll" } else { "libguest.so" }
}

fn compiler(machine: &Machine) -> Command {
    let own = if machine.foreign { None } else { std::env::var_os("CC") };
    let mut cc = Command::new(own.unwrap_or_else(|| machine.compiler("gcc").into()));
    cc.args(["-g", "-Wall"]).arg("-I").arg(root().join("include"));
    cc
}

/// The file appears at once, as from a build that moves its result into place.
fn build_guest(machine: &Machine, folder: &Path, source: &str, output: &Path) -> Result<()> {
    let (c, new) = (folder.join("guest.c"), folder.join("new.so"));
    fs::write(&c, source)?;
    must(compiler(machine).args(["-shared", "-fPIC"]).arg(&c).arg("-o").arg(&new))?;
    fs::rename(&new, output)?;
    Ok(())
}

fn must(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
