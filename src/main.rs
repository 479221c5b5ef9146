//! The `mcpmux` command: hands over to [`mcpmux::cli`].

fn main() -> std::process::ExitCode {
    mcpmux::cli::run()
}
