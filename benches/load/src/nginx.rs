//! nginx, the yardstick: a reverse proxy with one worker, which is its built-in
//! default, and connections kept on both sides.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::{process::Process, usage};

/// How long nginx may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts `binary` in front of `upstream`, with everything it writes in `dir`.
pub fn start(
    binary: &Path,
    upstream: SocketAddr,
    dir: &Path,
) -> anyhow::Result<(Process, SocketAddr)> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let file = dir.join("nginx.conf");
    fs::write(&file, configuration(upstream, address, dir))?;
    let mut command = Command::new(binary);
    command
        .arg("-p")
        .arg(dir)
        .arg("-e")
        .arg("stderr")
        .arg("-c")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut process = Process::start("nginx", &mut command, dir)?;
    // nginx tells nobody when it is ready.
    let start = Instant::now();
    let pid = process.id();
    // It listens before its worker is there, whose the CPU time is.
    while TcpStream::connect(address).is_err() || usage::family(pid).len() < 2 {
        process.check()?;
        if start.elapsed() > PATIENCE {
            bail!("nginx does not listen: {}", process.complaint());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok((process, address))
}

fn configuration(upstream: SocketAddr, address: SocketAddr, dir: &Path) -> String {
    // Workers of a master that is root become "nobody", who cannot see `dir`.
    let user = if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let dir = dir.display();
    format!(
        "daemon off; worker_processes 1; {user} pid {dir}/nginx.pid; error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    client_max_body_size 4m;
    # A large request stays in memory rather than going through a file.
    client_body_buffer_size 256k;
    # By default a connection ends after 1000 requests.
    keepalive_requests 1000000000;
    upstream backend {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen {address};
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}
}}
"
    )
}
