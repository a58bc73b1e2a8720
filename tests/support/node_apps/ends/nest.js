// NestJS with its shutdown hooks; it ends by sending itself the signal again.
'use strict';

require('reflect-metadata');
const { Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { answer, save } = require('./ending');

class AppModule {
  configure(consumer) {
    consumer.apply(answer).forRoutes('*');
  }

  onApplicationShutdown() {
    return save();
  }
}
Module({})(AppModule);

NestFactory.create(AppModule, { logger: ['error'] }).then(async (app) => {
  app.enableShutdownHooks();
  await app.listen(Number(process.env.PORT));
});
