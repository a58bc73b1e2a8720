// Owns what a Node worker does for fastlb while it drains: it ends idle keep-alive connections without losing a request,
// says when none of its connections is open any more, and whether the app wants to hear of its end by a signal.
// Loaded by `node --require` before the app, in the worker's main thread. Until it is told to drain it only waits for
// that. It must never throw, keep the process alive, or be seen by the app's own children.
//
//   here         worker to supervisor, at its start
//   drain        supervisor to worker: no connection comes any more; which signal, and how long an idle one may stay
//   draining     worker to supervisor: begun; what the app listens for
//   idle         the same, when no connection is open
//   question     supervisor to worker: whether the event loop goes round
//   action       the same: do one of the actions of actions.cjs
//   action_begun worker to supervisor: the answer to question, and the first one to action
//   action_done  worker to supervisor: what came of it
//   release      supervisor to worker, when it has closed its servers: nothing of ours is to keep it alive
'use strict';

const COMMAND = 'NODE_FASTLB';
const MAJOR = parseInt(process.versions.node, 10);
const OPTION = /^--require=.*preload\.cjs$/;

/** What Node keeps under a symbol of its own; undefined where this version does not. */
function internal(object, name) {
  const symbol = Object.getOwnPropertySymbols(object).find(({ description }) => description === name);
  return symbol === undefined ? undefined : object[symbol];
}

/** Open connections of clients as the servers got them: below TLS, and after an upgrade, too. */
function openConnections() {
  return process._getActiveHandles().filter((handle) => handle.server && !handle.destroyed && handle.once);
}

/** The sockets on which a server speaks HTTP/1; without those under TLS where Node keeps no list (before 18). */
function httpSockets(server) {
  const list = internal(server, 'http.server.connections');
  if (list) return list.all().map(({ socket }) => socket).filter(Boolean);
  return openConnections().filter((socket) => socket.server === server && socket.parser);
}

/** Close connections whose last request is answered. Who has connected and not asked yet may be about to. */
function closeIdle(server) {
  if (server.closeIdleConnections) {
    server.closeIdleConnections();
    return;
  }
  const isIdle = ({ parser, bytesRead, _httpMessage }) => bytesRead > 0 && !_httpMessage && !parser.incoming;
  httpSockets(server).filter(isIdle).forEach((socket) => socket.destroy());
}

class Worker {
  constructor(cluster) {
    this.send = process.send.bind(process);
    this.cluster = cluster;
    this.ownMessageListeners = this.messageListeners();
    this.sessions = new Set(); // of HTTP/2
    this.isDraining = false;
    this.awaited = new Set(); // connections
    this.hurried = new Set(); // HTTP servers
  }

  /** Nothing is known of a server's HTTP/2 sessions later, so they are noted as they come. */
  noteSessions() {
    const { cluster, sessions } = this;
    const { _getServer: getServer } = cluster;
    cluster._getServer = function _getServer(server, ...rest) {
      if (server.updateSettings) {
        server.on('session', (session) => {
          sessions.add(session);
          session.once('close', () => sessions.delete(session));
        });
      }
      return getServer.call(this, server, ...rest);
    };
  }

  listen() {
    process.on('internalMessage', (message) => {
      if (message?.cmd !== COMMAND) return;
      if (message.act === 'drain' && !this.isDraining) this.drain(message);
      if (message.act === 'release') process.channel?.unref();
      if (message.act === 'question') this.say({ act: 'action_begun', number: message.number });
      if (message.act === 'action') this.runAction(message);
    });
    this.say({ act: 'here' });
  }

  /** Unless it lay in the channel while the event loop was blocked: nobody waits for it any more. */
  runAction(message) {
    if (Number(process.hrtime.bigint()) / 1e9 > message.begin_by) return;
    const { number } = message;
    this.say({ act: 'action_begun', number });
    // A heap dump lets nothing go out while it lasts.
    setImmediate(() => {
      try {
        require('./actions.cjs').run(message, (answer) => this.say(answer));
      } catch (error) {
        this.say({ act: 'action_done', number, ok: false, text: error.message });
      }
    });
  }

  say(message) {
    this.send({ cmd: COMMAND, ...message }, () => {});
  }

  messageListeners() {
    return process.listenerCount('message') + this.cluster.worker.listenerCount('message');
  }

  sayWithListeners(act) {
    const messages = this.messageListeners() - this.ownMessageListeners;
    this.say({ act, hears_signal: process.listenerCount(this.signal) > 0, hears_messages: messages > 0 });
  }

  drain({ signal, idle_ms: idleMs }) {
    Object.assign(this, { isDraining: true, signal, idleMs });
    this.sayWithListeners('draining');
    // GOAWAY; streams go on to their end. Node 16 would end them.
    if (MAJOR >= 18) for (const session of this.sessions) session.close();
    this.awaitConnections();
    // For apps that want to know: worker 0, whose number its replacement has already, may have a job that only one does.
    process.nextTick(() => process.emit('fastlb:draining'));
  }

  /** Again when all are closed: a server that is not of the cluster may have got more. */
  awaitConnections() {
    const found = openConnections().filter((socket) => !this.awaited.has(socket));
    for (const socket of found) {
      this.awaited.add(socket);
      socket.once('close', () => this.onClose(socket));
    }
    for (const server of new Set(found.map((socket) => socket.server))) this.hurry(server);
    if (this.awaited.size === 0) this.sayWithListeners('idle');
  }

  onClose(socket) {
    this.awaited.delete(socket);
    if (this.awaited.size === 0) setImmediate(() => this.awaitConnections());
  }

  /** Have an HTTP server say `connection: close` from now on, and close what is idle. */
  hurry(server) {
    if (this.hurried.has(server) || server.listenerCount('request') === 0) return;
    this.hurried.add(server);
    server.prependListener('request', (request, response) => { response.shouldKeepAlive = false; });
    if (server.updateSettings || server.keepAliveTimeout === undefined) return; // HTTP/2
    for (const { _httpMessage: response } of httpSockets(server)) {
      if (response?.headersSent) response.once('finish', () => this.closeIdleLater(server));
      else if (response) response.shouldKeepAlive = false;
    }
    this.closeIdleLater(server);
  }

  /** Not at once: a client may be sending its next request, and is told by its answer. */
  closeIdleLater(server) {
    setTimeout(closeIdle, this.idleMs, server).unref();
  }
}

/** Else `fork()` in the app would load this file, too. A thread loads it all the same. */
function hide() {
  if (OPTION.test(process.execArgv[0])) process.execArgv.shift();
  delete require.cache[__filename];
}

hide();
// Not in a thread of the app, which has no channel.
const cluster = process.connected ? require('cluster') : {};
if (cluster.worker) {
  const worker = new Worker(cluster);
  worker.noteSessions();
  worker.listen();
}
