//! Putting a file into a bucket, so that a kill or a fault at any moment leaves what was there, or all of the new object:
//!
//! 1. an upload is begun · 2. parts are sent, several at once, each with its MD5 and SHA-256, which the server compares ·
//!    3. all parts are there, and the file has been found to be what was announced · 4. they are put together; what the
//!    server then says of the object is compared with what was sent.
//!
//! A failure before 4 aborts the upload; a kill leaves one that nobody sees, which `sweep` aborts. A small file is one
//! request instead. Memory is that of the parts on their way, which all uploads of a process share.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3::Bucket;
use s3::command::{Command, Multipart};
use s3::serde_types::{CompleteMultipartUploadData, Part};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::Described;
use super::fault::Refusal;
use super::wire::{Ask, Tries};
use crate::error::{Error, Kind};
use crate::failpoint;
use crate::store::Digest;

/// What kind of media an object is, for whoever fetches it.
const MEDIA_TYPE: &str = "video/mp4";
/// Smaller files are put by one request.
const SINGLE_BELOW: u64 = 16 << 20;
/// A part, as long as [`MOST_PARTS`] of them are enough.
const PART_BYTES: u64 = 8 << 20;
/// S3's own limit.
const MOST_PARTS: u64 = 10_000;
/// Parts on their way take at most so many bytes, over all uploads of a process.
const ROOM_BYTES: u64 = 32 << 20;
/// What [`ROOM_BYTES`] is given out in.
const ROOM_UNIT: u64 = 1 << 20;
/// The SHA-256 of the object, in hexadecimal: for whoever has lost the ledger.
const SHA256: HeaderName = HeaderName::from_static("x-amz-meta-sha256");
/// What stands in an upload's id as it is. Some servers use other characters, which rust-s3 does not encode.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

static ROOM: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(usize::try_from(ROOM_BYTES / ROOM_UNIT).unwrap_or(1))));

/// What is to be put.
pub(super) struct Order<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) key: &'a str,
    pub(super) file: &'a Path,
    pub(super) expect: &'a Digest,
    /// Only where nothing is under the key yet.
    pub(super) only_new: bool,
}

/// How long a part is, in bytes, for a file of `bytes`.
fn part_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(MOST_PARTS).next_multiple_of(ROOM_UNIT).max(PART_BYTES)
}

/// Room in memory for a part; waits until there is some. A part larger than all the room gets all of it.
async fn room(bytes: u64) -> Option<OwnedSemaphorePermit> {
    let units = u32::try_from(bytes.min(ROOM_BYTES).div_ceil(ROOM_UNIT)).unwrap_or(u32::MAX);
    Arc::clone(&ROOM).acquire_many_owned(units).await.ok()
}

/// Puts the file. False if something is under the key already, and that is to stay.
pub(super) async fn put(order: &Order<'_>) -> Result<bool, Refusal> {
    let opened = File::open(order.file).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (bytes, file) = opened.map_err(|e| unreadable(order.file, e))?;
    if bytes != order.expect.bytes {
        return Err(other_than_announced(&format!("{bytes} bytes"), order.expect));
    }
    if order.only_new && is_taken(order.bucket, order.key).await? {
        return Ok(false);
    }
    let reader = Reader { file: Arc::new(file), hash: Sha256::new(), at: 0 };
    match bytes < SINGLE_BELOW {
        true => put_whole(order, reader).await,
        false => put_in_parts(order, reader).await,
    }
}

/// Whether anything is under the key. Asked by a request of its own, because not every server heeds `If-None-Match`.
async fn is_taken(bucket: &Bucket, key: &str) -> Result<bool, Refusal> {
    match super::head(bucket, key).await {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.is_missing() => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// The file, from its start to its end, with the hash of what was read.
struct Reader {
    file: Arc<File>,
    hash: Sha256,
    at: u64,
}

impl Reader {
    /// The next `bytes` bytes, on a thread where reading may block.
    async fn next(&mut self, path: &Path, bytes: u64) -> Result<Bytes, Refusal> {
        let (file, mut hash, at) = (Arc::clone(&self.file), std::mem::take(&mut self.hash), self.at);
        let read = move || -> io::Result<(Bytes, Sha256)> {
            let mut part = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
            file.read_exact_at(&mut part, at)?;
            hash.update(&part);
            Ok((part.into(), hash))
        };
        let read = tokio::task::spawn_blocking(read).await.unwrap_or_else(|e| Err(io::Error::other(e)));
        let (part, hash) = read.map_err(|e| unreadable(path, e))?;
        (self.hash, self.at) = (hash, at + bytes);
        Ok(part)
    }

    /// Refuses a file whose bytes are not those that were announced.
    fn check(self, expect: &Digest) -> Result<(), Refusal> {
        let found = Digest { bytes: self.at, sha256: self.hash.finalize().into() };
        if found == *expect { Ok(()) } else { Err(other_than_announced(&format!("{found:?}"), expect)) }
    }
}

/// [`Kind::Io`] whatever the reason: only the store says that an object is not found.
fn unreadable(file: &Path, e: io::Error) -> Refusal {
    Error::new(Kind::Io, Error::from(e).to_string()).context(file.display()).into()
}

fn other_than_announced(found: &str, expect: &Digest) -> Refusal {
    let what = format!("the file has {found}, and should have {expect:?}");
    Error::new(Kind::Corrupt, what).hint("capture it again").into()
}

/// The headers of an object: its SHA-256; and the condition, if there is one.
fn headers(expect: &Digest, only_new: bool) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    let sha256 =
        HeaderValue::from_str(&expect.hex()).map_err(|e| Error::new(Kind::Invalid, e.to_string()))?;
    headers.insert(SHA256, sha256);
    if only_new {
        headers.extend(only_if_new());
    }
    Ok(headers)
}

fn only_if_new() -> HeaderMap {
    HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("*"))])
}

/// One request for all of a small file.
async fn put_whole(order: &Order<'_>, mut reader: Reader) -> Result<bool, Refusal> {
    let Order { bucket, key, file, expect, only_new } = *order;
    let _room = room(expect.bytes).await;
    let media = reader.next(file, expect.bytes).await?;
    reader.check(expect)?;
    let send = async |only_new: bool| {
        let command = Command::PutObject {
            content: &media,
            content_type: MEDIA_TYPE,
            custom_headers: Some(headers(expect, only_new)?),
            multipart: None,
        };
        Ask { media: Some(&media), ..Ask::new(bucket, key, command) }.document().await
    };
    let sent = match send(only_new).await {
        Err(refusal) if only_new && refusal.is_unknown() => send(false).await,
        sent => sent,
    };
    let etag = match sent {
        Ok(answer) => answer.md5.map(|md5| hex(&md5)),
        // Our own first try may be what is there now, if its answer was lost.
        Err(refusal) if only_new && refusal.is_taken() => return Ok(is_ours(order, None).await),
        Err(refusal) if refusal.passes && is_ours(order, None).await => return Ok(true),
        Err(refusal) => return Err(refusal),
    };
    failpoint::reach("s3-4-completed");
    confirm(order, etag.as_deref()).await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A part that has arrived: how the server calls it, and its MD5, if the server is one that compares.
struct Sent {
    part: Part,
    md5: Option<[u8; 16]>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Begun {
    upload_id: String,
}

async fn put_in_parts(order: &Order<'_>, reader: Reader) -> Result<bool, Refusal> {
    let Order { bucket, key, expect, .. } = *order;
    let described = bucket.with_extra_headers(headers(expect, false)?).map_err(super::fault::unmade)?;
    let begin = Command::InitiateMultipartUpload { content_type: MEDIA_TYPE };
    let begun = Ask::new(&described, key, begin).document().await?;
    let begun: Begun = quick_xml::de::from_str(&begun.text)
        .map_err(|e| Error::new(Kind::Invalid, "the server's answer cannot be read").caused_by(e))?;
    failpoint::reach("s3-1-initiated");
    let id: Arc<str> = utf8_percent_encode(&begun.upload_id, PLAIN).to_string().into();
    let stored = match send_parts(order, reader, &id).await {
        Ok(sent) => {
            failpoint::reach("s3-3-parts");
            complete(order, &id, sent).await
        }
        Err(refusal) => Err(refusal),
    };
    if !matches!(stored, Ok(true)) {
        // If not even that succeeds, `sweep` does it later; the first failure is the one to tell.
        let _ = abort(bucket, key, &begun.upload_id).await;
    }
    stored
}

/// Reads the file part by part, and sends as many parts at once as there is room for.
async fn send_parts(order: &Order<'_>, mut reader: Reader, id: &Arc<str>) -> Result<Vec<Sent>, Refusal> {
    let total = order.expect.bytes;
    let part_bytes = part_bytes(total);
    let (mut sending, mut sent) = (JoinSet::new(), Vec::new());
    while reader.at < total {
        let room = room(part_bytes).await;
        while let Some(done) = sending.try_join_next() {
            sent.push(joined(done)?);
        }
        let number = u32::try_from(reader.at / part_bytes + 1)
            .map_err(|_| Error::new(Kind::Invalid, "too large for a bucket"))?;
        let media = reader.next(order.file, part_bytes.min(total - reader.at)).await?;
        let (bucket, key, id) = (order.bucket.clone(), order.key.to_owned(), Arc::clone(id));
        sending.spawn(async move {
            let sent = send_part(&bucket, &key, number, &id, &media).await;
            drop(room);
            sent
        });
    }
    while let Some(done) = sending.join_next().await {
        sent.push(joined(done)?);
    }
    reader.check(order.expect)?;
    sent.sort_by_key(|sent| sent.part.part_number);
    Ok(sent)
}

fn joined(done: Result<Result<Sent, Refusal>, tokio::task::JoinError>) -> Result<Sent, Refusal> {
    done.unwrap_or_else(|e| Err(Error::new(Kind::Io, "the task that sends was lost").caused_by(e).into()))
}

async fn send_part(
    bucket: &Bucket,
    key: &str,
    number: u32,
    id: &str,
    media: &Bytes,
) -> Result<Sent, Refusal> {
    let command = Command::PutObject {
        content: media,
        content_type: MEDIA_TYPE,
        custom_headers: None,
        multipart: Some(Multipart::new(number, id)),
    };
    let ask = Ask { media: Some(media), ..Ask::new(bucket, key, command) };
    let answer = ask.document().await?;
    let etag = answer.headers.get(ETAG).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let etag = etag.ok_or_else(|| Error::new(Kind::Invalid, "the server gives no ETag for a part"))?;
    failpoint::reach("s3-2-part");
    Ok(Sent { part: Part { part_number: number, etag }, md5: answer.md5 })
}

async fn complete(order: &Order<'_>, id: &str, sent: Vec<Sent>) -> Result<bool, Refusal> {
    let etag = whole_etag(&sent);
    let parts: Vec<Part> = sent.into_iter().map(|sent| sent.part).collect();
    let send = async |condition: HeaderMap| {
        let data = CompleteMultipartUploadData { parts: parts.clone() };
        let bucket = order.bucket.with_extra_headers(condition).map_err(super::fault::unmade)?;
        let command = Command::CompleteMultipartUpload { upload_id: id, data };
        Ask::new(&bucket, order.key, command).document().await
    };
    let done = match order.only_new {
        true => match send(only_if_new()).await {
            Err(refusal) if refusal.is_unknown() => send(HeaderMap::new()).await,
            done => done,
        },
        false => send(HeaderMap::new()).await,
    };
    match done {
        Ok(_) => {
            failpoint::reach("s3-4-completed");
            confirm(order, etag.as_deref()).await
        }
        // The answer to an earlier try may have been lost on its way, and only the object can tell.
        Err(_) if is_ours(order, etag.as_deref()).await => Ok(true),
        Err(refusal) if refusal.is_taken() => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// What the `ETag` of all parts together is: the MD5 of their MD5s, and their number.
fn whole_etag(sent: &[Sent]) -> Option<String> {
    let sums: Vec<u8> = sent.iter().map(|s| s.md5).collect::<Option<Vec<_>>>()?.concat();
    Some(format!("{}-{}", hex(&md5::compute(sums).0), sent.len()))
}

/// Asks the server what it has stored, and compares. One that does not agree with itself yet is asked again.
async fn confirm(order: &Order<'_>, etag: Option<&str>) -> Result<bool, Refusal> {
    let mut tries = Tries::new();
    loop {
        let found = super::head(order.bucket, order.key).await?;
        match difference(order.expect, etag, &found) {
            None => return Ok(true),
            Some(what) => {
                let error =
                    Error::new(Kind::TryLater, what).hint("does another program write into this bucket?");
                tries.wait(Refusal::passing(error)).await?;
            }
        }
    }
}

/// How an object is not what was sent. Another whole object is fine: what is put later takes the place of what was put before.
fn difference(expect: &Digest, etag: Option<&str>, found: &Described) -> Option<String> {
    if found.told(&SHA256).is_some_and(|hex| hex != expect.hex()) {
        return None;
    }
    if found.bytes != expect.bytes {
        return Some(format!(
            "it has {} bytes in the store, and was sent with {}",
            found.bytes, expect.bytes
        ));
    }
    // Only one of the same form can be compared: a server may make its own.
    let form = |etag: &str| (etag.find('-'), etag.split('-').nth(1).map(str::to_owned));
    let (ours, theirs) = (etag?, found.told(&ETAG)?.trim_matches('"').to_ascii_lowercase());
    let differs = form(ours) == form(&theirs) && *ours != *theirs;
    differs.then(|| "its checksum in the store is not that of what was sent".to_owned())
}

/// After a failure that may have been only that of the answer: whether the object is there, as it was to be put.
async fn is_ours(order: &Order<'_>, etag: Option<&str>) -> bool {
    // Whatever went wrong: it is not known to be there.
    let Ok(found) = super::head(order.bucket, order.key).await else { return false };
    let by_sha256 = found.told(&SHA256).is_some_and(|hex| hex == order.expect.hex());
    let by_etag = etag.is_some() && found.told(&ETAG).map(|e| e.trim_matches('"')) == etag;
    found.bytes == order.expect.bytes && (by_sha256 || by_etag)
}

/// Whether the server refuses to put another object where there is one, if asked to: tried on an object that may be lost.
pub(super) async fn is_refused_if_there(bucket: &Bucket, key: &str) -> bool {
    let command = Command::PutObject {
        content: b"",
        content_type: MEDIA_TYPE,
        custom_headers: Some(only_if_new()),
        multipart: None,
    };
    let answer = Ask::new(bucket, key, command).document().await;
    answer.is_err_and(|refusal| refusal.is_taken())
}

/// Aborts an upload; one that is no longer there is as good as aborted.
pub(super) async fn abort(bucket: &Bucket, key: &str, id: &str) -> Result<(), Refusal> {
    let id = utf8_percent_encode(id, PLAIN).to_string();
    match Ask::new(bucket, key, Command::AbortMultipartUpload { upload_id: &id }).document().await {
        Err(refusal) if refusal.status != 404 || refusal.is_no_bucket() => Err(refusal),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ten_thousand_parts_are_enough_for_any_file_and_no_part_is_too_small(bytes in SINGLE_BELOW..5 << 40) {
            let part = part_bytes(bytes);
            prop_assert!(bytes.div_ceil(part) <= MOST_PARTS);
            // S3 takes none below 5 MiB but the last.
            prop_assert!(part >= PART_BYTES && part.is_multiple_of(ROOM_UNIT));
        }
    }

    #[test]
    fn what_the_store_says_of_an_object_is_compared_where_it_can_be() {
        let expect = Digest { bytes: 9, sha256: [7; 32] };
        let found = |bytes: u64, etag: &'static str, sha256: Option<String>| {
            let mut headers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static(etag))]);
            headers.extend(sha256.map(|hex| (SHA256, hex.parse().unwrap())));
            difference(&expect, Some("aa-2"), &Described { bytes, headers })
        };
        assert_eq!(found(9, "\"aa-2\"", Some(expect.hex())), None);
        assert_eq!(found(9, "\"aa-2\"", None), None, "a server that keeps no metadata");
        assert_eq!(found(9, "\"opaque\"", Some(expect.hex())), None, "a server with its own kind of ETag");
        assert_eq!(found(8, "\"bb-1\"", Some("00".repeat(32))), None, "another object, put later");
        assert!(found(8, "\"aa-2\"", Some(expect.hex())).unwrap().contains("it has 8 bytes in the store"));
        assert!(found(9, "\"bb-2\"", Some(expect.hex())).unwrap().contains("its checksum in the store"));
    }
}
