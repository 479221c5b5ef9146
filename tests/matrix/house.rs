//! All backends, reached directly and through mcpmux.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    backend::script,
    features::Act,
    revision::Revision,
    scene::{Scene, Seen},
    support::{Client, Mux, Peer, Setup},
};

/// How mcpmux reaches a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    /// A process and its pipes.
    Stdio,
    /// Streamable HTTP.
    Http,
}

/// Which mcpmux is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// One with all the backends.
    Crowd,
    /// One with this backend only, whose names stay as they are.
    Alone,
}

impl Transport {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Stdio, Self::Http];
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
        })
    }
}

type Direct = HashMap<&'static str, Vec<Seen>>;

/// A backend and how it is told apart.
struct Room {
    transport: Transport,
    revision: Revision,
    /// Its name and the authority of its resources.
    name: String,
    peer: Peer,
    /// Tests take turns: what a shared pipe carries belongs to the one call that
    /// is in flight.
    turn: Mutex<()>,
}

/// All of it; dropped from the top.
pub(crate) struct House {
    crowd: Mux,
    alone: Vec<Mux>,
    crowded: Vec<Room>,
    lonely: Vec<Room>,
    direct: Vec<(Room, Mutex<Direct>)>,
}

impl Room {
    fn new(transport: Transport, revision: Revision, name: String) -> Self {
        let http = transport == Transport::Http;
        let script = script(revision, &name, http);
        let peer = if http {
            Peer::http(script)
        } else {
            Peer::new(script)
        };
        Self {
            transport,
            revision,
            name,
            peer,
            turn: Mutex::default(),
        }
    }

    /// Takes a turn, with the script at its beginning.
    fn turn(&self) -> MutexGuard<'_, ()> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let http = self.transport == Transport::Http;
        self.peer.set(script(self.revision, &self.name, http));
        // Everything before is known to be done.
        self.peer.events();
        turn
    }
}

impl House {
    /// Starts all of it and waits until every backend is known.
    pub(crate) fn open() -> Self {
        let cells = || {
            Transport::ALL
                .into_iter()
                .flat_map(|transport| Revision::all().map(move |revision| (transport, revision)))
        };
        let room = |(transport, revision)| {
            Room::new(transport, revision, format!("{transport}-{revision}"))
        };
        let crowded: Vec<Room> = cells().map(room).collect();
        let lonely: Vec<Room> = cells()
            .map(|(transport, revision)| Room::new(transport, revision, "peer".to_owned()))
            .collect();
        let direct = Revision::all()
            .map(|revision| Room::new(Transport::Http, revision, "peer".to_owned()))
            .map(|room| (room, Mutex::default()))
            .collect();
        let setup = crowded.iter().fold(Setup::default(), |setup, room| {
            setup.backend(&room.name, &room.peer, "")
        });
        let crowd = setup.serve();
        let alone: Vec<Mux> = lonely
            .iter()
            .map(|room| {
                let setup = Setup::default().backend(&room.name, &room.peer, "namespace: none");
                setup.serve()
            })
            .collect();
        for room in &crowded {
            Client::wait_for(&crowd, &format!("{}__call", room.name));
        }
        for mux in &alone {
            Client::wait_for(mux, "call");
        }
        Self {
            crowd,
            alone,
            crowded,
            lonely,
            direct,
        }
    }

    /// What is seen through mcpmux.
    pub(crate) fn through(
        &self,
        place: Place,
        client: Revision,
        (transport, backend): (Transport, Revision),
        act: Act,
    ) -> Vec<Seen> {
        let rooms = match place {
            Place::Crowd => &self.crowded,
            Place::Alone => &self.lonely,
        };
        let number = rooms
            .iter()
            .position(|room| room.transport == transport && room.revision == backend)
            .expect("every backend is there");
        let room = &rooms[number];
        let _turn = room.turn();
        let (mux, prefix) = match place {
            Place::Crowd => (&self.crowd, format!("{}__", room.name)),
            Place::Alone => (&self.alone[number], String::new()),
        };
        let scene = Scene {
            client: Client::able(mux, client.era(), client.abilities()),
            revision: client,
            peer: &room.peer,
            backend,
            prefix,
            authority: room.name.clone(),
            seen: RefCell::default(),
        };
        act(&scene);
        scene.seen.into_inner()
    }

    /// What a client and a server of this revision see of each other.
    pub(crate) fn direct(&self, feature: &'static str, revision: Revision, act: Act) -> Vec<Seen> {
        let mut rooms = self.direct.iter();
        let (room, known) = rooms
            .find(|(room, _)| room.revision == revision)
            .expect("every revision is there");
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = known.entry(feature).or_insert_with(|| {
            let _turn = room.turn();
            let address = room.peer.address().parse().expect("an address");
            let scene = Scene {
                client: Client::of(address, revision.era(), revision.abilities()),
                revision,
                peer: &room.peer,
                backend: revision,
                prefix: String::new(),
                authority: room.name.clone(),
                seen: RefCell::default(),
            };
            act(&scene);
            scene.seen.into_inner()
        });
        seen.clone()
    }
}
