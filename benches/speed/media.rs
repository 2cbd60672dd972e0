//! The stream that is captured: four minutes of 720p, 360p and AAC, 200 MB in all, as plain DASH from nginx on loopback.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use npvr::grid::{Cell, Grid};
use npvr::time::Time;

use crate::{Result, folder};

/// How long it is, and how long the cell is that it fills.
pub(crate) const SECONDS: u64 = 240;

/// The stream, while somebody serves it.
pub(crate) struct Media {
    /// Where its manifest is.
    pub(crate) manifest: String,
    /// Where every file of it is that a capture fetches, init segments included.
    pub(crate) urls: Vec<String>,
    /// All of them together.
    pub(crate) bytes: u64,
    /// What a capture of it is to make.
    pub(crate) cell: Cell,
    prefix: PathBuf,
}

impl Media {
    /// Makes the stream if it is not there yet, places it on the cell before the last, and serves it.
    pub(crate) fn serve(now: Time) -> Result<Media> {
        let vod = make()?;
        let grid = Grid::new(std::time::Duration::from_secs(SECONDS))?;
        let cell = grid.cell_at(now.minus(grid.duration() * 2));
        let text = fs::read_to_string(vod.join("vod.mpd"))?;
        let on_the_epoch = format!("availabilityStartTime=\"{}\" type=\"static\"", cell.start());
        fs::write(vod.join("manifest.mpd"), text.replacen("type=\"static\"", &on_the_epoch, 1))?;

        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let prefix = folder("nginx")?;
        fs::write(prefix.join("nginx.conf"), configuration(&vod, port, "1"))?;
        nginx(&prefix, &[])?;
        let mut media = Media {
            manifest: format!("http://127.0.0.1:{port}/manifest.mpd"),
            urls: Vec::new(),
            bytes: 0,
            cell,
            prefix,
        };
        for entry in fs::read_dir(&vod)? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|_| "a name that is not UTF-8")?;
            if !name.ends_with(".mpd") {
                media.bytes += entry.metadata()?.len();
                media.urls.push(format!("http://127.0.0.1:{port}/{name}"));
            }
        }
        media.urls.sort();
        Ok(media)
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        // It may be gone already, and a bench has nothing better to do about it.
        drop(nginx(&self.prefix, &["-s", "quit"]));
    }
}

/// Half a minute of picture noise and a tone, encoded once, and repeated without encoding. The folder of its files.
fn make() -> Result<PathBuf> {
    let vod = folder("vod")?;
    if vod.join("vod.mpd").exists() {
        return Ok(vod);
    }
    println!("making {SECONDS} s of media, once…");
    let once = folder("media")?.join("loop.mp4");
    let encode = "-f lavfi -i testsrc2=s=1280x720:r=25,noise=alls=20:allf=t,format=yuv420p -f lavfi -i sine=f=440:r=48000 \
                  -t 32 -filter_complex [0:v]split[a][b];[b]scale=640:360[c] -map [a] -map [c] -map 1:a \
                  -c:v libx264 -preset ultrafast -g 50 -keyint_min 50 -sc_threshold 0 -bf 0 \
                  -b:v:0 5M -maxrate:v:0 5M -bufsize:v:0 5M -b:v:1 1500k -maxrate:v:1 1500k -bufsize:v:1 1500k \
                  -c:a aac -b:a 128k";
    ffmpeg(encode, &once)?;
    let repeat = format!(
        "-stream_loop -1 -i {} -map 0 -c copy -t {SECONDS} -f dash -seg_duration 2 -use_timeline 1 -use_template 1 \
         -dash_segment_type mp4 -init_seg_name init-$RepresentationID$.mp4 \
         -media_seg_name v-$RepresentationID$-$Number%05d$.m4s",
        once.display()
    );
    ffmpeg(&repeat, &vod.join("vod.mpd"))?;
    Ok(vod)
}

/// Runs ffmpeg. The arguments have no spaces in them.
fn ffmpeg(args: &str, output: &Path) -> Result<()> {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]);
    let status = command.args(args.split_whitespace()).arg(output).status();
    match status.map_err(|e| format!("ffmpeg: {e}; apt-get install ffmpeg"))?.success() {
        true => Ok(()),
        false => Err("ffmpeg failed".into()),
    }
}

/// Starts nginx, which comes back when it listens, or tells the running one something.
pub(crate) fn nginx(prefix: &Path, told: &[&str]) -> Result<()> {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(prefix).args(["-c", "nginx.conf", "-e", "error.log"]).args(told);
    match command.status().map_err(|e| format!("nginx: {e}; apt-get install nginx"))?.success() {
        true => Ok(()),
        false => Err("nginx failed".into()),
    }
}

/// So many workers serve the files below `root`.
pub(crate) fn configuration(root: &Path, port: u16, workers: &str) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|of| format!("  {of}_temp_path temporary;\n"))
        .concat();
    format!(
        "worker_processes {workers};\npid nginx.pid;\nevents {{}}\nhttp {{\n{temporary}  access_log off;\n  sendfile on;\n  \
         server {{ listen 127.0.0.1:{port}; root {}; }}\n}}\n",
        root.display()
    )
}
