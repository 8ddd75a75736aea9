//! Blocks of addresses that belong to one test, with the interfaces that have them.

use std::fs::{File, TryLockError};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::scratch::ROOT;
use crate::tool;

/// A block of 1,024 addresses that no other test on this machine uses while this value lives.
///
/// The blocks lie in 198.18.0.0/15, which is set aside for tests of networks.
#[derive(Debug)]
pub struct AddressBlock {
    number: u8,
    /// The lock ends with the process, however it ends.
    _lock: File,
}

impl AddressBlock {
    /// Takes a free block.
    ///
    /// # Errors
    /// When all 128 are taken.
    pub fn take() -> anyhow::Result<Self> {
        let directory = Path::new(ROOT).join("blocks");
        std::fs::create_dir_all(&directory)?;
        for number in 0..128 {
            let file = File::create(directory.join(number.to_string()))?;
            match file.try_lock() {
                Ok(()) => {
                    let block = Self { number, _lock: file };
                    block.clear();
                    return Ok(block);
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).context("cannot lock an address block"),
            }
        }
        bail!("all 128 address blocks are taken by running tests")
    }

    /// A name for an interface or a namespace, as distinct as the addresses are.
    #[must_use]
    pub fn name(&self, what: &str) -> String {
        format!("rst{}-{what}", self.number)
    }

    /// The address at `offset` (0 to 1,023) in the block.
    #[must_use]
    pub fn address(&self, offset: u16) -> Ipv4Addr {
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + (u32::from(self.number) << 10);
        Ipv4Addr::from(base + u32::from(offset & 0x3ff))
    }

    /// Whether `address` lies in the block.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) >> 10 == u32::from(self.address(0)) >> 10
    }

    /// Removes every namespace and interface of the block, also those that a killed test left.
    fn clear(&self) {
        let Ok(ip) = tool::find("ip") else { return };
        let run = |arguments: &[&str]| Command::new(&ip).args(arguments).output();
        let _ = run(&["netns", "delete", &self.name("net")]);
        // A process that is about to end keeps the namespace a moment longer, and with it the cable.
        let _ = run(&["link", "delete", &self.name("cable")]);
        let Ok(list) = run(&["-4", "-oneline", "address", "show"]) else { return };
        for interface in interfaces_in(self, &String::from_utf8_lossy(&list.stdout)) {
            let _ = run(&["link", "delete", interface]);
        }
    }
}

impl Drop for AddressBlock {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The interfaces in the output of `ip -4 -oneline address` that have an address in `block`.
fn interfaces_in<'a>(block: &AddressBlock, list: &'a str) -> Vec<&'a str> {
    list.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (name, address) = (words.next()?, words.nth(1)?);
            block.contains(address.split('/').next()?.parse().ok()?).then_some(name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_differ_and_do_not_overlap() {
        let (one, other) = (AddressBlock::take().unwrap(), AddressBlock::take().unwrap());
        assert_ne!(one.name("net"), other.name("net"));
        assert!(one.contains(one.address(1023)));
        assert!(!other.contains(one.address(1023)));
    }

    #[test]
    fn only_interfaces_of_the_block_are_taken() {
        let block = AddressBlock::take().unwrap();
        let list = format!(
            "1: lo    inet 127.0.0.1/8 scope host lo\n7: br-1    inet {}/27 scope global br-1\n",
            block.address(513)
        );
        assert_eq!(interfaces_in(&block, &list), ["br-1"]);
    }
}
