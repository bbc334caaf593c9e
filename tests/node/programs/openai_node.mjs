// openai-node: chat, its stream helper, tools, Responses and embeddings.
import OpenAI from "openai";

const [url, models] = [process.argv[2], JSON.parse(process.argv[3])];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello there" }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "weather", parameters } }];
const told = {};

const answer = await client.chat.completions.create({ model: models.text, messages });
told.text = answer.choices[0].message.content;
const runner = client.chat.completions.stream({ model: models.text, messages });
told.stream = (await runner.finalChatCompletion()).choices[0].message.content;
const tooled = client.chat.completions.runTools({
  model: models.tool,
  messages,
  tools: [
    {
      type: "function",
      function: { name: "weather", parameters, parse: JSON.parse, function: ({ city }) => `sunny in ${city}` },
    },
  ],
});
told.tool = await tooled.finalContent();
const called = await client.chat.completions.create({ model: models.tool, messages, tools });
told.called = called.choices[0].message.tool_calls[0].function.name;
const response = await client.responses.create({ model: models.text, input: "Hello there" });
told.response = response.output_text;
const events = client.responses.stream({ model: models.text, input: "Hello there" });
told.responseStream = (await events.finalResponse()).output_text;
const vectors = await client.embeddings.create({ model: models.embed, input: ["a", "b"] });
told.vectors = vectors.data.map((one) => one.embedding.length);
told.models = (await client.models.list()).data.length > 0;
try {
  for await (const chunk of await client.chat.completions.create({ model: models.cut, messages, stream: true })) void chunk;
  told.cut = "nothing";
} catch (error) {
  told.cut = error.constructor.name;
}
console.log(JSON.stringify(told));
