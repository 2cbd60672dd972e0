//! An S3 server that no one here wrote (s3s-fs), in the test's own process: it checks keys, signatures and MD5s, and keeps
//! each object as a file.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The keys that it knows, and the bucket that it has.
pub(crate) const ACCESS: &str = "npvr-access";
pub(crate) const SECRET: &str = "npvr-s3cr3t";
pub(crate) const BUCKET: &str = "npvr-test";

/// A channel's lines for that bucket, on a server at `url`.
pub(crate) fn lines(url: &str, secret: &str) -> String {
    format!(
        "[s3]\nendpoint = {url:?}\nbucket = {BUCKET:?}\naccess_key = {ACCESS:?}\nsecret_key = {secret:?}\n"
    )
}

/// A running server. It ends when it is dropped.
pub(crate) struct S3Server {
    pub(crate) addr: SocketAddr,
    is_away: Arc<AtomicBool>,
    folder: TempDir,
    runtime: Option<Runtime>,
}

impl S3Server {
    /// A server with one empty bucket.
    pub(crate) fn start() -> S3Server {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS, SECRET));
        let service = service.build();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let is_away = Arc::new(AtomicBool::new(false));
        let away = Arc::clone(&is_away);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                if away.load(Ordering::SeqCst) {
                    continue;
                }
                let service = service_fn(open_to_pages(service.clone()));
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    // A client that goes away in the middle is the client's right.
                    let _ = http.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        S3Server { addr, is_away, folder, runtime: Some(runtime) }
    }

    /// `http://127.0.0.1:…`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// True: who connects is sent away at once.
    pub(crate) fn set_away(&self, away: bool) {
        self.is_away.store(away, Ordering::SeqCst);
    }

    /// Where the server keeps the bucket, as a folder of that name; and beside it parts of uploads.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The service as a bucket whose CORS rule lets pages of any site read.
fn open_to_pages(
    service: S3Service,
) -> impl Fn(Request<Incoming>) -> BoxFuture<'static, Result<Response<s3s::Body>, s3s::HttpError>> {
    move |request| {
        let service = service.clone();
        Box::pin(async move {
            let mut response = Service::call(&service, request).await?;
            let any = HeaderValue::from_static("*");
            response.headers_mut().insert("access-control-allow-origin", any.clone());
            response.headers_mut().insert("access-control-expose-headers", any);
            Ok(response)
        })
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // Not by waiting: a test may be a task itself, where that is not allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
