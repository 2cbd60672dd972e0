//! A file of 1 GB into a bucket: npvr beside `aws s3 cp`, in turns.
//!
//! The server is s3s-fs, in a process of its own, which keeps parts as files and puts them together in the end. It checks
//! signatures and sums up what it gets, which takes it as long as anything here; it does the same for both. npvr's part is that
//! of a capture after its spool is finished: it reads the file, sums it up as a whole and in parts, sends four parts at once,
//! has them put together, and compares. aws sums up parts, and sends ten at once.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use hyper_util::rt::TokioIo;
use npvr::channel::{S3, S3Keys};
use npvr::secret::Secret;
use npvr::store::{Digest, S3Store, Store};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use sha2::Digest as _;

use crate::cost::{Cost, cost, empty, heading, spread};
use crate::{Figure, Result, folder};

/// The first arguments of the copies of this bench that are the server, and npvr's part.
pub(crate) const SERVE: &str = "--s3-serve";
pub(crate) const PUT: &str = "--s3-put";

const BYTES: u64 = 1_000_000_000;
const ROUNDS: usize = 5;
const ACCESS: &str = "bench";
const SECRET: &str = "bench-secret";
const BUCKET: &str = "bench";

/// Puts the file as npvr and aws do it.
pub(crate) fn upload() -> Result<Vec<Figure>> {
    let folder = folder("upload")?;
    let file = folder.join("chunk");
    let sha256 = write_file(&file)?;
    let server = Server::start(&folder.join("server"))?;
    let (file, url) = (file.display().to_string(), server.url.as_str());
    let me = std::env::current_exe()?.display().to_string();
    let (mut npvr, mut aws) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        npvr.push(quietly(&server, || cost(&me, [PUT, &file, &sha256, url]))?);
        aws.push(quietly(&server, || run_aws(&file, url))?);
    }
    heading(&format!("upload of {} MB to s3s-fs, {ROUNDS} times", BYTES / 1_000_000));
    let wall = |runs: &[Cost]| spread(runs.iter().map(|r| r.wall_s));
    for (name, runs) in [("npvr's put", &npvr), ("aws s3 cp", &aws)] {
        wall(runs).print(name, "s");
        spread(runs.iter().map(|r| r.cpu_s)).print(&format!("{name}, CPU"), "s");
    }
    let peak = spread(npvr.iter().map(|r| r.peak_mb));
    peak.print("npvr's put, peak memory", "MB");
    let beside = wall(&npvr).median / wall(&aws).median;
    Ok(vec![
        // Nine tenths of its speed, or more.
        Figure { what: "upload beside aws s3 cp", value: beside, unit: "x", limit: 1.0 / 0.9 },
        // The limit is in MiB.
        Figure { what: "upload, peak memory", value: peak.median, unit: "MB", limit: 100.0 },
    ])
}

/// A file of bytes that differ, once; its SHA-256 in hexadecimal.
fn write_file(path: &Path) -> Result<String> {
    let mut hash = sha2::Sha256::new();
    let mut file = std::io::BufWriter::new(File::create(path)?);
    let mut state = 1_u64;
    for _ in 0..BYTES / 8 {
        // A number that follows from the one before, and looks like none (xorshift).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bytes = state.to_le_bytes();
        hash.update(bytes);
        file.write_all(&bytes)?;
    }
    file.flush()?;
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

fn run_aws(file: &str, url: &str) -> Result<Cost> {
    let target = format!("s3://{BUCKET}/by-aws");
    let keys = [format!("AWS_ACCESS_KEY_ID={ACCESS}"), format!("AWS_SECRET_ACCESS_KEY={SECRET}")];
    let region = "AWS_DEFAULT_REGION=us-east-1";
    let args =
        [&keys[0], &keys[1], region, "aws", "--endpoint-url", url, "s3", "cp", "--quiet", file, &target];
    cost("env", args)
}

/// Runs on an empty bucket and a disk that has nothing left to write from the run before.
fn quietly<T>(server: &Server, run: impl FnOnce() -> Result<T>) -> Result<T> {
    empty(&server.folder.join(BUCKET))?;
    rustix::fs::sync();
    run()
}

/// The server, as long as this lives.
struct Server {
    process: Child,
    folder: std::path::PathBuf,
    url: String,
}

impl Server {
    fn start(folder: &Path) -> Result<Server> {
        empty(folder)?;
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.arg(SERVE).arg(folder).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut url)?;
        }
        Ok(Server { process, folder: folder.to_owned(), url: url.trim().to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What the copy that is the server does: prints its URL, and serves until it is killed.
pub(crate) fn serve(args: &[String]) -> ExitCode {
    let Some(folder) = args.first() else { return ExitCode::FAILURE };
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    match runtime.block_on(serve_in(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            println!("{e}");
            ExitCode::FAILURE
        }
    }
}

async fn serve_in(folder: &str) -> Result<()> {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).map_err(|e| format!("{e:?}"))?);
    service.set_auth(SimpleAuth::from_single(ACCESS, SECRET));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let http = hyper::server::conn::http1::Builder::new();
            // A client that goes away has what it wants.
            drop(http.serve_connection(TokioIo::new(socket), service).await);
        });
    }
}

/// What the copy that is npvr's part does: puts a file, given its SHA-256 in hexadecimal and the server's URL.
pub(crate) fn put(args: &[String]) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    match runtime.block_on(put_file(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // Where the copy that measures looks for what went wrong.
            drop(writeln!(std::io::stderr(), "{e}"));
            ExitCode::FAILURE
        }
    }
}

async fn put_file(args: &[String]) -> Result<()> {
    let [file, sha256, url] = args else { return Err("file, SHA-256 and URL".into()) };
    let byte = |at: usize| sha256.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let sum: Option<Vec<u8>> = (0..sha256.len()).step_by(2).map(byte).collect();
    let sha256 = sum.and_then(|sum| sum.try_into().ok()).ok_or("no SHA-256")?;
    let keys = S3Keys::Given { access: Secret::new(ACCESS), secret: Secret::new(SECRET), session: None };
    let (bucket, region) = (BUCKET.to_owned(), "us-east-1".to_owned());
    let store = S3Store::open(&S3 { endpoint: url.parse()?, bucket, region, path_style: true, keys }).await?;
    store.put("news/chunk.ismv", Path::new(file), &Digest { bytes: BYTES, sha256 }).await?;
    Ok(())
}
