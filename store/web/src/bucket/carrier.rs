//! Carries requests to a bucket, and tells a failure by what came instead of by its text.
//!
//! The library below makes one sentence of an answer that is no success. Here such an answer becomes an
//! error with its status in it, except where the library itself has to know of it.

use std::pin::Pin;
use std::time::Duration;

use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions, Error};

use super::trouble::{NoKeys, Status};

/// Who hands out keys on machines of a cloud; elsewhere nobody answers there.
const KEEPERS: [&str; 4] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "metadata.google.internal"];
/// How long to wait for them.
const KEEPER_TIMEOUT: Duration = Duration::from_secs(3);
/// Most of an answer that is no success which is looked at.
const MOST_SAID: usize = 16 << 10;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes carriers.
#[derive(Debug)]
pub(crate) struct Connector {
    /// Says where keys were looked for.
    pub(crate) sought: String,
    /// What is sent and not taken for so long breaks the connection. How long an answer may take is for
    /// who asks: a pack takes longer than a name.
    pub(crate) silence: Duration,
}

impl Connector {
    fn client(&self, options: &ClientOptions) -> Result<reqwest::Client, reqwest::Error> {
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp);
        let builder = reqwest::Client::builder()
            .user_agent("lab")
            .http1_only()
            .https_only(plain.as_deref() != Some("true"))
            .connect_timeout(CONNECT_TIMEOUT);
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(self.silence);
        builder.build()
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self.client(options);
        let client = client
            .map_err(|e| Error::Generic { store: "bucket", source: Box::new(e.without_url()) })?;
        let by = HttpClient::new(client);
        Ok(HttpClient::new(Carrier { by, sought: self.sought.clone() }))
    }
}

#[derive(Debug)]
struct Carrier {
    by: HttpClient,
    sought: String,
}

impl Carrier {
    async fn carry(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let keeper = request.uri().host().is_some_and(|host| KEEPERS.contains(&host));
        if keeper {
            let asked = tokio::time::timeout(KEEPER_TIMEOUT, self.by.execute(request)).await;
            return match asked {
                Ok(Ok(answer)) if answer.status().is_success() => Ok(answer),
                _ => Err(HttpError::new(HttpErrorKind::Unknown, NoKeys(self.sought.clone()))),
            };
        }
        let answer = self.by.execute(request).await?;
        let code = answer.status().as_u16();
        // The library turns these into errors of their own.
        if answer.status().is_success() || matches!(code, 304 | 404 | 409 | 412) {
            return Ok(answer);
        }
        let region = answer.headers().get("x-amz-bucket-region");
        let region = region.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // Why it is none is nice to know; that it is none is certain.
        let body = answer.into_body().bytes().await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body[..body.len().min(MOST_SAID)]).into_owned();
        Err(HttpError::new(HttpErrorKind::Unknown, Status { code, region, body }))
    }
}

impl HttpService for Carrier {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.carry(request))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;
    use crate::runtime::wait;

    fn answer(listener: &TcpListener, plain: bool, bytes: usize) -> Result<u16, HttpError> {
        let connector = Connector { sought: String::new(), silence: Duration::from_millis(500) };
        let address = listener.local_addr().unwrap();
        wait(async {
            let options = ClientOptions::new().with_allow_http(plain);
            let client = connector.connect(&options).unwrap();
            let mut request = HttpRequest::new(vec![0; bytes].into());
            *request.uri_mut() = format!("http://{address}/x").parse().unwrap();
            client.execute(request).await.map(|answer| answer.status().as_u16())
        })
        .unwrap()
    }

    #[test]
    fn what_nobody_takes_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                stream.read_exact(&mut [0; 100]).unwrap();
                std::thread::sleep(Duration::from_secs(8));
            });
            let begun = Instant::now();
            answer(&listener, true, 64 << 20).unwrap_err();
            assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
            assert!(!taken.is_finished());
        });
    }

    #[test]
    fn only_who_says_http_gets_http() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        answer(&listener, false, 1).unwrap_err();
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "it was asked all the same");
    }
}
