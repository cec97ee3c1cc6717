//! The store: frames found, read and verified.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use lab_schema::{Digest, ObjectId};

use crate::backend::{Backend, Key, PackId, Room};
use crate::block::{self, Base, Block, MAX_SHARED};
use crate::blocks::Blocks;
use crate::catalog::{Catalog, PackState, Place};
use crate::ends::Ends;
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, Parsed};
use crate::layout::{FORMAT_VERSION, FORMAT_WORDS};
use crate::lease::Lease;
use crate::pack::Record;

/// Packs whose ends are asked for together.
const TOGETHER: usize = 512;

thread_local! {
    /// Memory for the bytes of a block as they are stored.
    static STORED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Objects and names behind a backend. Cheap to clone; usable from several threads.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    backend: Arc<dyn Backend>,
    catalog: RwLock<Catalog>,
    blocks: Mutex<Blocks>,
    /// Where the ends of packs are kept, if they are.
    ends: OnceLock<Ends>,
}

/// Copies that turned out to be no good in one attempt: without them all copies of all bases of a
/// chain would be tried in every combination, and a few hostile packs could have years of them.
type Bad = HashSet<(PackId, FrameKey)>;

/// What became of an attempt to read something in one place.
enum Attempt<T> {
    Read(T),
    Damaged(&'static str),
    Gone,
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
            FORMAT_VERSION => Ok(Store {
                inner: Arc::new(Inner {
                    blocks: Mutex::new(Blocks::new(backend.is_far())),
                    backend,
                    catalog: RwLock::default(),
                    ends: OnceLock::new(),
                }),
            }),
            0 => Err(not_a_store()),
            1 => Err(ObjectsError::Older { what: backend.location() }),
            newer => Err(ObjectsError::Newer { what: backend.location(), version: newer }),
        }
    }

    /// What is under it.
    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.inner.backend
    }

    /// Keeps the ends of its packs in this folder from now on, and finds them there: of a far store they
    /// need not come again. Whatever else comes to lie in it does no harm.
    pub fn keep_ends(&self, folder: &Path) {
        // Only the first one counts.
        let _ = self.inner.ends.set(Ends::in_folder(folder));
    }

    /// Where the ends of packs are kept, if they are.
    pub(crate) fn ends(&self) -> Option<&Ends> {
        self.inner.ends.get()
    }

    /// What has been seen of it.
    pub(crate) fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        // No operation panics halfway through a change.
        self.inner.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it keeps in memory of blocks.
    pub(crate) fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.inner.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To note what was found.
    pub(crate) fn catalog_mut(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.inner.catalog.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in packs that have appeared, and forgets those that are gone.
    pub(crate) fn refresh(&self) -> Result<()> {
        // Known before the listing: what is published during it is not gone.
        let known: Vec<PackId> = self.catalog().packs().keys().copied().collect();
        // Marks before packs: a mark goes after its pack, and a pack that is still listed must not be
        // taken for one that stays.
        let marks = self.condemned()?;
        self.catalog_mut().add_condemned(&marks);
        let listed = self.backend().list(Room::Packs)?;
        let here: HashSet<PackId> = listed
            .iter()
            .filter_map(|(key, _)| if let Key::Pack(id) = key { Some(*id) } else { None })
            .collect();
        for pack in known.into_iter().filter(|id| !here.contains(id)) {
            self.catalog_mut().forget(pack);
        }
        let mut fresh = Vec::new();
        for (key, bytes) in listed {
            let Key::Pack(id) = key else { continue };
            // A broken one is looked at again: somebody may have put it right.
            if self.catalog().packs().get(&id) != Some(&PackState::Readable) {
                fresh.push((id, bytes));
            }
        }
        for group in fresh.chunks(TOGETHER) {
            for ((id, _), tail) in group.iter().zip(self.read_tails(group)?) {
                match tail {
                    None => {}
                    Some(Ok(tail)) => {
                        let mut catalog = self.catalog_mut();
                        catalog.insert(*id, tail);
                        catalog.set_unsettled(true);
                    }
                    Some(Err(why)) => self.catalog_mut().insert_broken(*id, why),
                }
            }
        }
        self.catalog_mut().set_condemned(marks);
        Ok(())
    }

    /// The packs that bear a mark.
    fn condemned(&self) -> Result<HashSet<PackId>> {
        let listed = self.backend().list(Room::Condemned)?.into_iter();
        let pack = |key| if let Key::Condemned(id) = key { Some(id) } else { None };
        Ok(listed.filter_map(|(key, _)| pack(key)).collect())
    }

    /// Tells collectors that somebody is at work; to be held by whoever writes, from before it looks
    /// at the store until after its names have moved. What was known of the store before counts no
    /// more.
    pub fn lease(&self) -> Result<Lease> {
        let lease = self.backend().lease()?;
        self.backend().look_again();
        self.refresh()?;
        Ok(lease)
    }

    /// Makes durable what has been seen of others' packs; for who is about to rely on it.
    pub(crate) fn settle(&self) -> Result<()> {
        // What was published far away may be on its way.
        let unsettled = self.catalog_mut().set_unsettled(false) || self.backend().is_far();
        if unsettled && let Err(error) = self.backend().settle() {
            self.catalog_mut().set_unsettled(true);
            return Err(error);
        }
        Ok(())
    }

    /// The bytes of a block, decoded.
    fn read_block(&self, place: &Place, bad: &mut Bad) -> Result<Attempt<Arc<Vec<u8>>>> {
        let Place { pack, block, .. } = place;
        let at = (*pack, place.record.block);
        if let Some(bytes) = self.blocks().get(at) {
            return Ok(Attempt::Read(bytes));
        }
        let (key, stored) = (Key::Pack(*pack), u64::from(block.stored));
        // What it stands on is read while this is in use.
        let mut memory = STORED.take();
        let range = self.backend().read_once(&key, block.offset, stored, &mut memory)?;
        let Some(range) = range else { return Ok(Attempt::Gone) };
        let found = &memory[range];
        let bytes = match self.decode(block, found, bad)? {
            Ok(bytes) => bytes,
            Err(why) => return Ok(Attempt::Damaged(why)),
        };
        let bytes = Arc::new(bytes);
        // Damage is not remembered: somebody may put it right.
        if place.record.bytes < block.bytes && crc32fast::hash(found) == block.checksum {
            self.blocks().put(at, Arc::clone(&bytes));
        }
        if memory.len() <= MAX_SHARED {
            STORED.set(memory);
        }
        Ok(Attempt::Read(bytes))
    }

    /// What a block holds that lies on disk as `stored`.
    pub(crate) fn decode_block(&self, block: &Block, stored: &[u8]) -> Result<Parsed<Vec<u8>>> {
        self.decode(block, stored, &mut Bad::new())
    }

    fn decode(&self, block: &Block, stored: &[u8], bad: &mut Bad) -> Result<Parsed<Vec<u8>>> {
        if stored.len() != block.stored as usize {
            return Ok(Err("its pack is cut off"));
        }
        // Of bytes that lie there as they are only some are damaged: hashes tell which frames are.
        if block.encoding != block::Encoding::Raw && crc32fast::hash(stored) != block.checksum {
            return Ok(Err("its block has another checksum"));
        }
        let base = match block.base {
            None => None,
            Some(base) => match self.read_base(base, block.depth, bad)? {
                Some(bytes) => Some(bytes),
                None => return Ok(Err(block::BASE_LOST)),
            },
        };
        let mut bytes = self.blocks().memory(block.bytes as usize);
        Ok(block::decode(block, stored, base.as_deref(), &mut bytes).map(|()| bytes))
    }

    /// The chunk that a delta of `depth` stands on, verified; none if it is nowhere sound. What it
    /// stands on itself takes fewer deltas, so that a ring of hostile packs ends.
    fn read_base(&self, digest: Digest, depth: u8, bad: &mut Bad) -> Result<Option<Vec<u8>>> {
        for place in self.places(&FrameKey::of_chunk(digest))? {
            let copy = (place.pack, place.record.key);
            if place.block.depth < depth && !bad.contains(&copy) {
                match self.attempt_among(&place, bad)? {
                    Attempt::Read(bytes) => return Ok(Some(bytes)),
                    Attempt::Damaged(_) | Attempt::Gone => drop(bad.insert(copy)),
                }
            }
        }
        Ok(None)
    }

    /// The bytes of a frame. They have the recorded length; whether they hash to the key is not
    /// looked at.
    fn attempt_unverified(&self, place: &Place, bad: &mut Bad) -> Result<Attempt<Vec<u8>>> {
        let Record { start, bytes, .. } = place.record;
        Ok(match self.read_block(place, bad)? {
            Attempt::Gone => Attempt::Gone,
            Attempt::Damaged(why) => Attempt::Damaged(why),
            Attempt::Read(block) if bytes == place.block.bytes => {
                Attempt::Read(Arc::try_unwrap(block).unwrap_or_else(|shared| (*shared).clone()))
            }
            Attempt::Read(block) => {
                Attempt::Read(block[start as usize..(start + bytes) as usize].to_vec())
            }
        })
    }

    fn attempt(&self, place: &Place) -> Result<Attempt<Vec<u8>>> {
        self.attempt_among(place, &mut Bad::new())
    }

    fn attempt_among(&self, place: &Place, bad: &mut Bad) -> Result<Attempt<Vec<u8>>> {
        Ok(match self.attempt_unverified(place, bad)? {
            Attempt::Read(bytes) if !place.record.key.fits(&bytes) => {
                Attempt::Damaged("its bytes have another hash")
            }
            attempt => attempt,
        })
    }

    /// The bytes of a frame in this very place, verified; none if they are damaged or gone.
    pub(crate) fn read_at(&self, place: &Place) -> Result<Option<Vec<u8>>> {
        Ok(match self.attempt(place)? {
            Attempt::Read(bytes) => Some(bytes),
            Attempt::Damaged(_) | Attempt::Gone => None,
        })
    }

    /// The places of any of these frames; looks for new packs if there is none.
    pub(crate) fn places(&self, keys: &[FrameKey]) -> Result<Vec<Place>> {
        let find = || keys.iter().flat_map(|key| self.catalog().places(key)).collect::<Vec<_>>();
        let found = find();
        if !found.is_empty() {
            return Ok(found);
        }
        self.backend().look_again();
        self.refresh()?;
        Ok(find())
    }

    /// The bytes of whichever of these frames is here, verified; none if none is.
    pub(crate) fn fetch(&self, keys: &[FrameKey]) -> Result<Option<(FrameKey, Vec<u8>)>> {
        self.fetch_by(keys, |place| self.attempt(place))
    }

    fn fetch_by(
        &self,
        keys: &[FrameKey],
        attempt: impl Fn(&Place) -> Result<Attempt<Vec<u8>>>,
    ) -> Result<Option<(FrameKey, Vec<u8>)>> {
        let mut damage = None;
        // A second time if a pack was gone, whose frames may have moved to another one, or if all
        // was damaged, which somebody may have put right.
        for _ in 0..2 {
            let mut again = false;
            for place in self.places(keys)? {
                match attempt(&place)? {
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
            self.backend().look_again();
            self.refresh()?;
        }
        match damage {
            None => Ok(None),
            Some((key, why)) => Err(ObjectsError::Damaged { what: describe(&key), why }),
        }
    }

    /// A chunk's bytes, verified.
    pub(crate) fn fetch_chunk(&self, digest: Digest) -> Result<Vec<u8>> {
        present(digest, self.fetch(&FrameKey::of_chunk(digest))?)
    }

    /// What lies under a chunk's key, for who verifies the whole that it is a part of.
    pub(crate) fn fetch_chunk_unverified(&self, digest: Digest) -> Result<Vec<u8>> {
        let attempt = |place: &Place| self.attempt_unverified(place, &mut Bad::new());
        present(digest, self.fetch_by(&FrameKey::of_chunk(digest), attempt)?)
    }

    /// A chunk that another one may be written as a difference to; none if it is nowhere sound, or
    /// about to be removed.
    pub(crate) fn base(&self, digest: Digest) -> Result<Option<Base>> {
        for place in self.places(&FrameKey::of_chunk(digest))? {
            if self.catalog().is_kept(&place)
                && let Attempt::Read(bytes) = self.attempt(&place)?
            {
                return Ok(Some(Base { digest, bytes: bytes.into(), depth: place.block.depth }));
            }
        }
        Ok(None)
    }

    /// Whether the object is here. Its bytes are not looked at.
    pub fn has(&self, id: impl Into<ObjectId>) -> Result<bool> {
        let keys: Vec<FrameKey> = FrameKey::of_object(id.into()).collect();
        Ok(!self.places(&keys)?.is_empty())
    }
}

/// The bytes of a chunk that must be here.
fn present(digest: Digest, found: Option<(FrameKey, Vec<u8>)>) -> Result<Vec<u8>> {
    found.map(|(_, bytes)| bytes).ok_or_else(|| ObjectsError::Damaged {
        what: format!("chunk {}", digest.short()),
        why: "it is not in any pack",
    })
}

/// What a frame is, for people.
pub(crate) fn describe(key: &FrameKey) -> String {
    match key.object() {
        Some(id) => id.to_string(),
        None => format!("{} {}", format!("{:?}", key.kind).to_lowercase(), key.digest.short()),
    }
}
