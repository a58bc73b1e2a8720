// plain.js as an ES module.
import './plain.js';
