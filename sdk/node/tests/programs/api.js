// A small API that is metered, for as long as its standard input is open; prints its address.

import express from "express";

import { Tollmeter, currentUsage } from "tollmeter";
import { metering } from "tollmeter/express";

const tollmeter = new Tollmeter({ batchSeconds: 0.05 });
const app = express();
app.use(metering(tollmeter, { customer: "X-Customer", records: "Records" }));
app.get("/jobs/:id", (req, res) => {
  currentUsage().add(Number(req.params.id));
  res.send("done");
});

const server = app.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on("end", () => {
  server.close();
  server.closeAllConnections();
});
