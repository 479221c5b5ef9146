//! That the table counts, and that whatever happens the backend ends up with
//! what is wanted.

use proptest::prelude::*;

use super::*;
use crate::protocol::Message;

#[derive(Debug)]
struct Nobody;

impl Sink for Nobody {
    fn updated(&self, _: &str, _: &Message) {}
}

fn subscriber(client: u64, sink: &Arc<Nobody>) -> Subscriber {
    let sink: Weak<Nobody> = Arc::downgrade(sink);
    Subscriber {
        client,
        role: "".into(),
        sink,
    }
}

fn place(uri: &str) -> Place {
    Place {
        backend: "a".into(),
        uri: uri.into(),
    }
}

#[test]
fn an_update_goes_to_the_exact_or_the_nearest_whole() {
    let sink = Arc::new(Nobody);
    let mut table = Table::default();
    for (client, uri) in [(1, "file:///a"), (2, "file:///a/b/"), (3, "file:///a/b/c")] {
        table
            .join(&place(uri), &"".into(), &subscriber(client, &sink))
            .unwrap();
    }
    let told = |uri: &str| table.subscribers("a", uri).len();
    assert_eq!(told("file:///a/b/c"), 1);
    assert_eq!(told("file:///a/b/c/d?e"), 1);
    assert_eq!(told("file:///a#x"), 1);
    assert_eq!(told("file:///ab"), 0);
    assert_eq!(told("file:///"), 0);
    assert_eq!(table.subscribers("b", "file:///a").len(), 0);
    let nearest: Vec<_> = wholes("a/b/?c").collect();
    assert_eq!(nearest, ["a/b/", "a/b/", "a/b", "a/", "a"]);
}

#[test]
fn a_client_is_bounded() {
    let sink = Arc::new(Nobody);
    let mut table = Table::default();
    let one = subscriber(1, &sink);
    for n in 0..MAX_OF_CLIENT {
        assert_eq!(
            table.join(&place(&n.to_string()), &"".into(), &one),
            Ok(true)
        );
    }
    assert_eq!(
        table.join(&place("more"), &"".into(), &one),
        Err(Full::Client)
    );
    assert_eq!(table.join(&place("0"), &"".into(), &one), Ok(false));
    let long = place(&"x".repeat(MAX_URI + 1));
    assert_eq!(
        table.join(&long, &"".into(), &subscriber(2, &sink)),
        Err(Full::Uri)
    );
}

/// A backend that does what it is asked, and the one who takes the steps:
/// suspended between asking and hearing the answer.
#[derive(Default)]
struct World {
    table: Table,
    known: HashSet<Arc<str>>,
    session: u64,
    underway: HashMap<Place, (Step, Option<Session>)>,
    requests: usize,
}

impl World {
    fn session(&self) -> Session {
        (self.session, 0)
    }

    fn drive(&mut self, place: &Place) {
        if self.table.claim(place, Some(self.session())) == Some(true) {
            self.go_on(place);
        }
    }

    fn go_on(&mut self, place: &Place) {
        let session = Some(self.session());
        let step = self.table.step(place, session);
        if !matches!(step, Step::Rest(..)) {
            self.requests += 1;
            self.underway.insert(place.clone(), (step, session));
        }
    }

    /// The backend answers, unless the session has ended meanwhile.
    fn answer(&mut self, place: &Place) {
        let Some((step, session)) = self.underway.remove(place) else {
            return;
        };
        let lives = session == Some(self.session());
        match step {
            Step::Subscribe => {
                if lives {
                    assert!(
                        self.known.insert(Arc::clone(&place.uri)),
                        "subscribed twice"
                    );
                }
                self.table.subscribed(place, session, lives);
            }
            Step::Unsubscribe => {
                if lives {
                    assert!(self.known.remove(&place.uri), "unsubscribed twice");
                }
                self.table.unsubscribed(place);
            }
            Step::Rest(..) => unreachable!(),
        }
        self.go_on(place);
    }

    fn reconnect(&mut self) {
        self.session += 1;
        self.known.clear();
        for place in self.table.at("a") {
            self.drive(&place);
        }
    }
}

proptest! {
    /// Whatever happens in whatever order, once all is answered the backend
    /// knows of exactly what somebody is subscribed to.
    #[test]
    fn the_backend_ends_up_with_what_is_wanted(
        acts in prop::collection::vec((0..5_u8, 0..3_u64, 0..3_usize), 0..80)
    ) {
        let sink = Arc::new(Nobody);
        let places = ["a", "b", "c"].map(place);
        let none: Alias = "".into();
        let mut world = World::default();
        let mut wanted = HashSet::new();
        for (act, client, n) in acts {
            let at = &places[n];
            match act {
                0 => {
                    let new = world.table.join(at, &none, &subscriber(client, &sink));
                    prop_assert_eq!(new, Ok(wanted.insert((client, n))));
                    world.drive(at);
                }
                1 => {
                    let gone = world.table.leave(at, &none, client);
                    prop_assert_eq!(gone, wanted.remove(&(client, n)));
                    world.drive(at);
                }
                2 => world.answer(at),
                3 => {
                    for (at, alias) in world.table.of(client) {
                        world.table.leave(&at, &alias, client);
                        world.drive(&at);
                    }
                    wanted.retain(|(other, _)| *other != client);
                }
                _ => world.reconnect(),
            }
        }
        while let Some(at) = world.underway.keys().next().cloned() {
            world.answer(&at);
        }
        let known: HashSet<_> = wanted.iter().map(|(_, n)| Arc::clone(&places[*n].uri)).collect();
        prop_assert_eq!(&world.known, &known);
        prop_assert_eq!(world.table.count, wanted.len());
        if wanted.is_empty() {
            prop_assert!(world.table.topics.is_empty() && world.table.held.is_empty());
        }
    }
}
