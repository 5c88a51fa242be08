using System;
using System.Collections.Generic;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading.Tasks;

namespace Hubbub.Sdk;

/// <summary>A way to the server, as a connection string names it.</summary>
sealed record Transport(string Name, string Endpoint, string Key)
{
    public static Transport Parse(string name, string connectionString)
    {
        var parts = connectionString.Split(';', StringSplitOptions.RemoveEmptyEntries)
            .Select(part => part.Split('=', 2)).ToDictionary(part => part[0], part => part[1]);
        return new Transport(name, parts["Endpoint"].TrimEnd('/'), parts["AccessKey"]);
    }
}

/// <summary>A hub with a fresh name: the URLs for its clients, and the calls of an application.</summary>
sealed class Hub
{
    const string ApiVersion = "2024-01-01";
    static readonly string[] Member = { "webpubsub.joinLeaveGroup", "webpubsub.sendToGroup" };
    static readonly HttpClient Http = new();

    readonly Transport transport;

    public Hub(Transport transport, string? name = null)
    {
        this.transport = transport;
        Name = name ?? $"hub{Guid.NewGuid():N}";
    }

    public string Name { get; }

    /// <summary>The same hub through another endpoint.</summary>
    public Hub Through(string endpoint) => new(transport with { Endpoint = endpoint }, Name);

    public Uri ClientUrl(string user, string[]? roles = null)
    {
        var audience = $"{transport.Endpoint}/client/hubs/{Name}";
        var token = Token(audience, new() { ["sub"] = user, ["role"] = roles ?? Member });
        return new Uri($"ws{audience["http".Length..]}?access_token={token}");
    }

    public Task SendToAll(string text) => Call(HttpMethod.Post, ":send", text);

    public Task SendToGroup(string group, string body, string contentType = "text/plain") =>
        Call(HttpMethod.Post, $"groups/{group}/:send", body, contentType);

    public Task CloseConnection(string id, string reason) => Call(HttpMethod.Delete, $"connections/{id}", query: $"&reason={Uri.EscapeDataString(reason)}");

    async Task Call(HttpMethod method, string path, string? body = null, string contentType = "text/plain", string query = "")
    {
        var url = $"{transport.Endpoint}/api/hubs/{Name}/{path}";
        using var request = new HttpRequestMessage(method, $"{url}?api-version={ApiVersion}{query}");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Token(url, new()));
        if (body != null)
        {
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
            request.Content.Headers.ContentType = new MediaTypeHeaderValue(contentType);
        }
        using var answer = await Http.SendAsync(request);
        if (!answer.IsSuccessStatusCode)
        {
            throw new InvalidOperationException($"{method} {path}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
        }
    }

    string Token(string audience, Dictionary<string, object> claims)
    {
        claims["aud"] = audience;
        claims["exp"] = DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeSeconds();
        var signed = $"{Encode(Encoding.UTF8.GetBytes("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"))}.{Encode(JsonSerializer.SerializeToUtf8Bytes(claims))}";
        return $"{signed}.{Encode(HMACSHA256.HashData(Encoding.UTF8.GetBytes(transport.Key), Encoding.UTF8.GetBytes(signed)))}";
    }

    static string Encode(ReadOnlySpan<byte> bytes) => Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
}
