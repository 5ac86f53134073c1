//! Standard input and output, joined to a stream.

use std::io;

use anyhow::Context as _;
use postern_client::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

/// Bytes that are carried at once.
const PIECE: usize = 64 * 1024;

/// Copies until the resource has ended its side. The end of standard input crosses as a half-close.
pub(super) async fn join(stream: Stream) -> anyhow::Result<()> {
    let (reader, writer) = tokio::io::split(stream);
    let up = async {
        up(writer).await.context("standard input")?;
        // The resource may go on talking after we have ended; the other direction says when all is over.
        std::future::pending::<anyhow::Result<()>>().await
    };
    tokio::select! {
        failed = up => failed,
        done = down(reader) => done.context("the connection to the resource"),
    }
}

async fn up(mut stream: WriteHalf<Stream>) -> io::Result<()> {
    let mut input = tokio::io::stdin();
    let mut piece = vec![0; PIECE];
    loop {
        let length = input.read(&mut piece).await?;
        let Some(read) = piece.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        stream.write_all(read).await?;
    }
    stream.shutdown().await
}

async fn down(mut stream: ReadHalf<Stream>) -> io::Result<()> {
    let mut output = tokio::io::stdout();
    let mut piece = vec![0; PIECE];
    loop {
        let length = stream.read(&mut piece).await?;
        let Some(read) = piece.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        output.write_all(read).await?;
        output.flush().await?;
    }
    output.flush().await
}
