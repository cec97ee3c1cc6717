//! The store: frames found, read and verified.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lab_schema::{Digest, IdPrefix, Kind, ObjectId};

use crate::backend::{Backend, Key, PackId, Room};
use crate::catalog::{Catalog, PackState, Place};
use crate::error::{ObjectsError, Result};
use crate::frame::{self, FrameKey, Parsed};
use crate::layout::{FORMAT_VERSION, FORMAT_WORDS};
use crate::pack::{self, FOOTER_BYTES, Record};

/// Objects and names behind a backend. Cheap to clone; usable from several threads.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    backend: Arc<dyn Backend>,
    catalog: RwLock<Catalog>,
}

/// What became of an attempt to read a frame in one place.
enum Attempt {
    Read(Vec<u8>),
    Damaged(&'static str),
    Gone,
}

/// What is in a pack.
struct Contents {
    records: Vec<Record>,
    /// Whether it could not come from the index.
    unindexed: bool,
}

impl Store {
    /// A new, empty store; the same as [`Store::open`] if it exists.
    pub fn create(backend: Arc<dyn Backend>) -> Result<Store> {
        if backend.read(&Key::Format)?.is_none() {
            let format = format!("{FORMAT_WORDS}{FORMAT_VERSION}\n");
            backend.publish(&Key::Format, format.as_bytes())?;
        }
        Store::open(backend)
    }

    /// The store behind `backend`.
    pub fn open(backend: Arc<dyn Backend>) -> Result<Store> {
        let not_a_store = || ObjectsError::NotAStore { path: backend.location().into() };
        let format = backend.read(&Key::Format)?.ok_or_else(not_a_store)?;
        let version = std::str::from_utf8(&format)
            .ok()
            .and_then(|text| {
                text.strip_prefix(FORMAT_WORDS)?.strip_suffix('\n')?.parse::<u64>().ok()
            })
            .ok_or_else(not_a_store)?;
        match version {
            FORMAT_VERSION => {
                Ok(Store { inner: Arc::new(Inner { backend, catalog: RwLock::default() }) })
            }
            0 => Err(not_a_store()),
            newer => Err(ObjectsError::Newer { what: backend.location(), version: newer }),
        }
    }

    /// What is under it.
    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.inner.backend
    }

    /// What has been seen of it.
    pub(crate) fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        // No operation panics halfway through a change.
        self.inner.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To note what was found.
    pub(crate) fn catalog_mut(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.inner.catalog.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in packs that have appeared, and forgets those that are gone.
    pub(crate) fn refresh(&self) -> Result<()> {
        // Known before the listing: what is published during it is not gone.
        let known: Vec<PackId> = self.catalog().packs().keys().copied().collect();
        let listed = self.backend().list(Room::Packs)?;
        let here: HashSet<PackId> = listed
            .iter()
            .filter_map(|(key, _)| if let Key::Pack(id) = key { Some(*id) } else { None })
            .collect();
        for pack in known.into_iter().filter(|id| !here.contains(id)) {
            self.catalog_mut().forget(pack);
        }
        for (key, bytes) in listed {
            let Key::Pack(id) = key else { continue };
            // A broken one is looked at again: somebody may have put it right.
            let seen = matches!(self.catalog().packs().get(&id), Some(PackState::Readable { .. }));
            if !seen {
                match self.read_records(id, bytes)? {
                    None => {}
                    Some(Ok(found)) => {
                        let mut catalog = self.catalog_mut();
                        catalog.insert(id, &found.records, found.unindexed);
                        catalog.set_unsettled(true);
                    }
                    Some(Err(why)) => self.catalog_mut().insert_broken(id, why),
                }
            }
        }
        Ok(())
    }

    /// The index of a pack, as it is; empty, which no index is, if it cannot be one.
    pub(crate) fn read_index(&self, id: PackId) -> Result<Option<Vec<u8>>> {
        match self.backend().read(&Key::Index(id)) {
            Err(ObjectsError::Damaged { .. }) => Ok(Some(Vec::new())),
            read => read,
        }
    }

    /// Makes durable what has been seen of others' packs; for who is about to rely on it.
    pub(crate) fn settle(&self) -> Result<()> {
        let unsettled = self.catalog_mut().set_unsettled(false);
        if unsettled && let Err(error) = self.backend().settle() {
            self.catalog_mut().set_unsettled(true);
            return Err(error);
        }
        Ok(())
    }

    /// What is in a pack, from its index or else its own tail. None: it is gone.
    fn read_records(&self, id: PackId, pack_bytes: u64) -> Result<Option<Parsed<Contents>>> {
        if let Some(index) = self.read_index(id)?
            && let Ok(records) = pack::parse_tail(&index, pack_bytes)
        {
            return Ok(Some(Ok(Contents { records, unindexed: false })));
        }
        let tail = self.read_tail(id, pack_bytes)?;
        let contents = |records| Contents { records, unindexed: true };
        Ok(tail.map(|tail| pack::parse_tail(&tail?, pack_bytes).map(contents)))
    }

    /// The tail of a pack, from the pack itself. None: it is gone.
    pub(crate) fn read_tail(&self, id: PackId, pack_bytes: u64) -> Result<Option<Parsed<Vec<u8>>>> {
        let range = |len: u64| {
            self.backend().read_range(&Key::Pack(id), pack_bytes.saturating_sub(len), len)
        };
        let Some(footer) = range(FOOTER_BYTES as u64)? else { return Ok(None) };
        match pack::tail_len(&footer, pack_bytes) {
            Ok(len) => Ok(range(len)?.map(Ok)),
            Err(why) => Ok(Some(Err(why))),
        }
    }

    fn attempt(&self, place: &Place) -> Result<Attempt> {
        let Record { key, encoding, offset, stored_bytes, bytes } = place.record;
        let stored = u64::from(stored_bytes);
        let read = self.backend().read_range(&Key::Pack(place.pack), offset, stored)?;
        let Some(found) = read else { return Ok(Attempt::Gone) };
        if found.len() as u64 != stored {
            return Ok(Attempt::Damaged("its pack is cut off"));
        }
        Ok(match frame::decode(encoding, found, u64::from(bytes)) {
            Ok(raw) if key.fits(&raw) => Attempt::Read(raw),
            Ok(_) => Attempt::Damaged("its bytes have another hash"),
            Err(why) => Attempt::Damaged(why),
        })
    }

    /// The places of any of these frames; looks for new packs if there is none.
    pub(crate) fn places(&self, keys: &[FrameKey]) -> Result<Vec<Place>> {
        let find = || keys.iter().flat_map(|key| self.catalog().places(key)).collect::<Vec<_>>();
        let found = find();
        if !found.is_empty() {
            return Ok(found);
        }
        self.refresh()?;
        Ok(find())
    }

    /// The bytes of whichever of these frames is here, verified; none if none is.
    pub(crate) fn fetch(&self, keys: &[FrameKey]) -> Result<Option<(FrameKey, Vec<u8>)>> {
        let mut damage = None;
        // A second time if a pack was gone, whose frames may have moved to another one, or if all
        // was damaged, which somebody may have put right.
        for _ in 0..2 {
            let mut again = false;
            for place in self.places(keys)? {
                match self.attempt(&place)? {
                    Attempt::Read(bytes) => return Ok(Some((place.record.key, bytes))),
                    Attempt::Gone => again = true,
                    Attempt::Damaged(why) => {
                        self.catalog_mut().condemn(&place);
                        damage = Some((place.record.key, why));
                        again = true;
                    }
                }
            }
            if !again {
                break;
            }
            self.refresh()?;
        }
        match damage {
            None => Ok(None),
            Some((key, why)) => Err(ObjectsError::Damaged { what: describe(&key), why }),
        }
    }

    /// A chunk's bytes, verified.
    pub(crate) fn fetch_chunk(&self, digest: Digest) -> Result<Vec<u8>> {
        match self.fetch(&FrameKey::of_chunk(digest))? {
            Some((_, bytes)) => Ok(bytes),
            None => Err(ObjectsError::Damaged {
                what: format!("chunk {}", digest.short()),
                why: "it is not in any pack",
            }),
        }
    }

    /// Whether the object is here. Its bytes are not looked at.
    pub fn has(&self, id: impl Into<ObjectId>) -> Result<bool> {
        let keys: Vec<FrameKey> = FrameKey::of_object(id.into()).collect();
        Ok(!self.places(&keys)?.is_empty())
    }

    /// Those of `ids` that are not here, in their order; looks for new packs at most once, so
    /// that many at a time are quicker than one by one.
    pub fn lacking(&self, ids: &[ObjectId]) -> Result<Vec<ObjectId>> {
        let lacks = |ids: &[ObjectId]| -> Vec<ObjectId> {
            let catalog = self.catalog();
            let lacks = |id: &&ObjectId| !FrameKey::of_object(**id).any(|key| catalog.knows(&key));
            ids.iter().filter(lacks).copied().collect()
        };
        let lacking = lacks(ids);
        if lacking.is_empty() {
            return Ok(lacking);
        }
        self.refresh()?;
        Ok(lacks(&lacking))
    }

    /// All objects of a kind, sorted.
    pub fn list(&self, kind: Kind) -> Result<Vec<ObjectId>> {
        self.refresh()?;
        Ok(self.catalog().objects(|id| id.kind() == kind).into_iter().collect())
    }

    /// All objects whose id starts like this, sorted by kind and id.
    pub fn find(&self, prefix: &IdPrefix) -> Result<Vec<ObjectId>> {
        self.refresh()?;
        Ok(self.catalog().objects(|id| prefix.matches(&id.digest())).into_iter().collect())
    }

    /// All packs that can be read, sorted.
    pub fn packs(&self) -> Result<Vec<PackId>> {
        self.refresh()?;
        let catalog = self.catalog();
        let readable = |(id, state): (&PackId, &PackState)| {
            matches!(state, PackState::Readable { .. }).then_some(*id)
        };
        let mut packs: Vec<PackId> = catalog.packs().iter().filter_map(readable).collect();
        packs.sort();
        Ok(packs)
    }

    /// The objects (not their chunks) that are recorded in a pack, sorted; none if it is gone.
    pub fn pack_objects(&self, pack: PackId) -> Result<Vec<ObjectId>> {
        let listed = self.read_index(pack)?;
        let records = match listed.and_then(|tail| pack::parse_any_tail(&tail).ok()) {
            Some(records) => records,
            None => {
                let all = self.backend().list(Room::Packs)?;
                let found = all.into_iter().find(|(key, _)| *key == Key::Pack(pack));
                let Some((_, bytes)) = found else { return Ok(Vec::new()) };
                match self.read_records(pack, bytes)? {
                    None => return Ok(Vec::new()),
                    Some(Ok(found)) => found.records,
                    Some(Err(why)) => {
                        return Err(ObjectsError::Damaged { what: format!("pack {pack}"), why });
                    }
                }
            }
        };
        let mut objects: Vec<ObjectId> = records.iter().filter_map(|r| r.key.object()).collect();
        objects.sort();
        objects.dedup();
        Ok(objects)
    }
}

/// What a frame is, for people.
pub(crate) fn describe(key: &FrameKey) -> String {
    match key.object() {
        Some(id) => id.to_string(),
        None => format!("{} {}", format!("{:?}", key.kind).to_lowercase(), key.digest.short()),
    }
}
