//! Packed containers are read. They come from a disk: whatever is in them, they are containers or refused.

use std::sync::Arc;

use roadstead_protocol::message::container::Port;
use roadstead_protocol::message::time::UnixMicros;

use super::{HEALTHS, STATES, Unreadable, VERSION, flags};
use crate::fleet::kept::{Containers, Kept, Texts};
use crate::fleet::pool::Sets;

/// The containers.
///
/// # Errors
/// If they are not what was packed, or a newer program packed them.
pub(super) fn unpack(bytes: &[u8], sets: &mut Sets) -> Result<Containers, Unreadable> {
    let mut reader = Reader(bytes);
    match reader.number()? {
        VERSION => {}
        newer if newer > VERSION => return Err(Unreadable::Newer(newer)),
        _ => return Err(Unreadable::Damaged),
    }
    let texts = reader.all(|reader| Ok(sets.text(reader.text()?)))?;
    let lists = reader.all(|reader| Ok(sets.list(&reader.all(|reader| reader.one_of(&texts))?)))?;
    let ports = reader.all(|reader| Ok(sets.ports(reader.all(|reader| port(reader, &texts))?)))?;
    let (shared, mut labels) = (Shared { texts: &texts, lists: &lists, ports: &ports }, Vec::new());
    let containers = reader.all(|reader| container(reader, shared, &mut labels, sets).map(Arc::new))?;
    if !reader.0.is_empty() {
        return Err(Unreadable::Damaged);
    }
    Ok(containers.into_iter().collect())
}

/// What containers refer to.
#[derive(Clone, Copy)]
struct Shared<'a> {
    texts: &'a [Arc<str>],
    lists: &'a [Texts],
    ports: &'a [Arc<[Port]>],
}

/// A container; `labels` is room for its labels.
fn container<'a>(
    reader: &mut Reader<'_>,
    shared: Shared<'a>,
    labels: &mut Vec<(&'a Arc<str>, &'a Arc<str>)>,
    sets: &mut Sets,
) -> Result<Kept, Unreadable> {
    let id = reader.text()?.parse().map_err(|_| Unreadable::Damaged)?;
    let has = reader.number()?;
    let state = *reader.one_of(&STATES)?;
    let health = *reader.one_of(&HEALTHS)?;
    let created_at = UnixMicros(reader.signed()?);
    let mut only_if = |flag| if has & flag == 0 { Ok(None) } else { reader.signed().map(Some) };
    let started_at = only_if(flags::STARTED_AT)?.map(UnixMicros);
    let finished_at = only_if(flags::FINISHED_AT)?.map(UnixMicros);
    let exit_code = only_if(flags::EXIT_CODE)?;
    let mut text = || reader.one_of(shared.texts).cloned();
    let (name, image, image_id, command, restart_policy) = (text()?, text()?, text()?, text()?, text()?);
    let ports = Arc::clone(reader.one_of(shared.ports)?);
    let networks = Arc::clone(reader.one_of(shared.lists)?);
    let mounts = Arc::clone(reader.one_of(shared.lists)?);
    labels.clear();
    for _ in 0..reader.count()? {
        labels.push((reader.one_of(shared.texts)?, reader.one_of(shared.texts)?));
    }
    Ok(Kept {
        id,
        name,
        image,
        image_id,
        command,
        created_at,
        state,
        health,
        started_at,
        finished_at,
        exit_code,
        oom_killed: has & flags::OOM_KILLED != 0,
        ports,
        networks,
        mounts,
        labels: sets.labels(labels),
        labels_truncated: has & flags::LABELS_TRUNCATED != 0,
        restart_policy,
    })
}

fn port(reader: &mut Reader<'_>, texts: &[Arc<str>]) -> Result<Port, Unreadable> {
    let private = reader.port()?;
    let protocol = reader.one_of(texts)?.to_string();
    let host_ip = reader.perhaps(|reader| Ok(reader.one_of(texts)?.to_string()))?;
    Ok(Port { private, protocol, host_ip, public: reader.perhaps(Reader::port)? })
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Seven bits a byte, the least first; the eighth says that more follow.
    fn number(&mut self) -> Result<usize, Unreadable> {
        let (mut number, mut bits) = (0_u32, 0);
        loop {
            let [byte] = self.bytes()?;
            let part = u32::from(byte & 0x7f);
            number |= part.checked_shl(bits).filter(|all| all >> bits == part).ok_or(Unreadable::Damaged)?;
            if byte & 0x80 == 0 {
                return usize::try_from(number).map_err(|_| Unreadable::Damaged);
            }
            bits += 7;
        }
    }

    fn signed(&mut self) -> Result<i64, Unreadable> {
        self.bytes().map(i64::from_le_bytes)
    }

    fn port(&mut self) -> Result<u16, Unreadable> {
        self.bytes().map(u16::from_le_bytes)
    }

    fn text(&mut self) -> Result<&'a str, Unreadable> {
        let length = self.number()?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Unreadable::Damaged)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Unreadable::Damaged)
    }

    /// How many follow. No more than there are bytes, so that nothing too large is made room for.
    fn count(&mut self) -> Result<usize, Unreadable> {
        self.number()
            .and_then(|count| if count > self.0.len() { Err(Unreadable::Damaged) } else { Ok(count) })
    }

    fn all<T>(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Unreadable> {
        let count = self.count()?;
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(each(self)?);
        }
        Ok(all)
    }

    fn perhaps<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Option<T>, Unreadable> {
        match self.bytes()? {
            [0] => Ok(None),
            [1] => value(self).map(Some),
            _ => Err(Unreadable::Damaged),
        }
    }

    /// One of these, by its place.
    fn one_of<'b, T>(&mut self, all: &'b [T]) -> Result<&'b T, Unreadable> {
        all.get(self.number()?).ok_or(Unreadable::Damaged)
    }

    fn bytes<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Unreadable> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Unreadable::Damaged)?;
        self.0 = rest;
        Ok(*bytes)
    }
}
