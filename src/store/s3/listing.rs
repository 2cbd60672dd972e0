//! Listing objects and unfinished uploads, and deleting many, page by page.

use s3::Bucket;
use s3::command::Command;
use s3::serde_types::{DeleteObjectsRequest, ObjectIdentifier};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::fault::Refusal;
use super::upload;
use super::wire::{Ask, Document};
use crate::error::{Error, Kind};
use crate::store::{Object, check_key};
use crate::time::Time;

/// The most that one answer lists, and that one request deletes: S3's own limit.
const PAGE: usize = 1000;
/// How old an unfinished upload must be before nobody can be at work on it, in seconds.
const STALE_S: i64 = 86_400;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Listing {
    contents: Vec<Entry>,
    is_truncated: bool,
    next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    size: u64,
    last_modified: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Uploads {
    upload: Vec<Upload>,
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    initiated: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Deleted {
    error: Vec<NotDeleted>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NotDeleted {
    key: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

fn read<T: DeserializeOwned>(document: &Document) -> Result<T, Refusal> {
    quick_xml::de::from_str(&document.text)
        .map_err(|e| Error::new(Kind::Invalid, "the server's answer cannot be read").caused_by(e).into())
}

/// Up to `limit` objects after `after`. Keys that cannot be ours are left out. A server may send fewer than were asked for,
/// and say that there are more: that is not the end.
pub(super) async fn list(
    bucket: &Bucket,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Object>, Refusal> {
    let mut found = Vec::new();
    let mut after = after.map(str::to_owned);
    let mut token = None::<String>;
    while found.len() < limit {
        let command = Command::ListObjectsV2 {
            prefix: prefix.to_owned(),
            delimiter: None,
            continuation_token: token.clone(),
            start_after: after.clone().filter(|_| token.is_none()),
            max_keys: Some(PAGE.min(limit - found.len())),
        };
        let page: Listing = read(&Ask::new(bucket, "", command).document().await?)?;
        let last = page.contents.last().map(|entry| entry.key.clone());
        // Some servers take `after` for the start itself.
        let is_new = |key: &String| after.as_ref().is_none_or(|after| key > after);
        for entry in page.contents.into_iter().filter(|e| is_new(&e.key) && check_key(&e.key).is_ok()) {
            let modified = entry.last_modified.parse::<Time>().unwrap_or(Time::EPOCH);
            found.push(Object { key: entry.key, bytes: entry.size, modified });
        }
        match (page.is_truncated, page.next_continuation_token, last) {
            (false, ..) => break,
            (true, Some(next), _) if token.as_ref() != Some(&next) => token = Some(next),
            (true, _, Some(last)) if after.as_ref() != Some(&last) => (token, after) = (None, Some(last)),
            _ => return Err(Error::new(Kind::TryLater, "the listing does not come to its end").into()),
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// Aborts uploads under `prefix` that were begun more than a day before `now`; how many.
pub(super) async fn sweep(bucket: &Bucket, prefix: &str, now: Time) -> Result<u64, Refusal> {
    let (mut aborted, mut key_marker, mut upload_id_marker) = (0, None, None);
    loop {
        let command = Command::ListMultipartUploads {
            prefix: Some(prefix),
            delimiter: None,
            key_marker: key_marker.clone(),
            upload_id_marker: upload_id_marker.clone(),
            max_uploads: Some(PAGE),
        };
        let page: Uploads = match Ask::new(bucket, "", command).document().await {
            // A server that cannot list them has its own way to be rid of them.
            Err(refusal) if refusal.is_unknown() => return Ok(aborted),
            other => read(&other?)?,
        };
        for one in page.upload.iter().filter(|one| one.key.starts_with(prefix)) {
            let begun = one.initiated.parse::<Time>();
            if begun.is_ok_and(|begun| now.s().saturating_sub(begun.s()) > STALE_S) {
                upload::abort(bucket, &one.key, &one.upload_id).await?;
                aborted += 1;
            }
        }
        let next = (page.next_key_marker, page.next_upload_id_marker);
        if !page.is_truncated || next.0.is_none() || next == (key_marker, upload_id_marker) {
            return Ok(aborted);
        }
        (key_marker, upload_id_marker) = next;
    }
}

/// Deletes objects; those that could not be deleted, and why.
pub(super) async fn delete(bucket: &Bucket, keys: &[&String]) -> Vec<(String, Error)> {
    let mut left = Vec::new();
    for keys in keys.chunks(PAGE) {
        match delete_page(bucket, keys).await {
            Ok(errors) => left.extend(errors),
            Err(refusal) if refusal.is_unknown() => left.extend(delete_one_by_one(bucket, keys).await),
            Err(refusal) => left.extend(keys.iter().map(|key| {
                let error = Error::new(refusal.error.kind(), refusal.error.to_string());
                let error = refusal.error.remedy().into_iter().fold(error, |error, hint| error.hint(hint));
                ((*key).clone(), error)
            })),
        }
    }
    left
}

async fn delete_page(bucket: &Bucket, keys: &[&String]) -> Result<Vec<(String, Error)>, Refusal> {
    let objects = keys.iter().map(|key| ObjectIdentifier::new((*key).clone())).collect();
    let data = DeleteObjectsRequest { objects, quiet: true };
    let deleted: Deleted = read(&Ask::new(bucket, "", Command::DeleteObjects { data }).document().await?)?;
    let failed = deleted.error.into_iter().filter(|e| e.code != "NoSuchKey");
    let error = |e: NotDeleted| {
        let kind = if e.code == "AccessDenied" { Kind::Denied } else { Kind::TryLater };
        (e.key, Error::new(kind, format!("{}: {}", e.code, e.message)))
    };
    Ok(failed.map(error).collect())
}

/// For a server that cannot delete many at once.
async fn delete_one_by_one(bucket: &Bucket, keys: &[&String]) -> Vec<(String, Error)> {
    let mut left = Vec::new();
    for key in keys {
        match Ask::new(bucket, key, Command::DeleteObject).document().await {
            Err(refusal) if !refusal.is_missing() => left.push(((*key).clone(), refusal.error)),
            _ => {}
        }
    }
    left
}
